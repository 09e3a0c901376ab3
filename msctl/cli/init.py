"""`msctl init`: a first configuration from what the directory has."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msctl.cli import streams
from msctl.cli.messages import warn
from msctl.cli.options import Action, given_before
from msctl.config.location import DIRECTORY_NAME, FILE_NAME, VARIABLE
from msctl.errors import MsctlError, UsageError
from msctl.exitcodes import ExitCode

if TYPE_CHECKING:
    from msctl.config.drafting.first import FirstConfig

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_MODE = 0o666  # what the umask leaves of it


def command(
    context: typer.Context,
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A Procfile, compose or process-compose file to start from, and nothing else.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be written, and write nothing.")
    ] = False,
) -> Action:
    """Write a first msctl.yaml from the apps, Procfile or compose file found here."""
    if given_before(context).files:
        raise UsageError(f"init writes {FILE_NAME} here; --file is for what is there already")
    return lambda: _init(Path.cwd(), source, dry_run=dry_run)


def _init(directory: Path, source: Path | None, *, dry_run: bool) -> int:
    # Imported here for start-up time: they need the configuration's models and YAML.
    from msctl.config.drafting.first import first_config  # noqa: PLC0415
    from msctl.config.drafting.sketch import Untranslatable  # noqa: PLC0415
    from msctl.config.schema import FILE_NAME as SCHEMA  # noqa: PLC0415
    from msctl.config.schema import schema_text  # noqa: PLC0415

    if not dry_run:
        _refuse_existing(directory)
    try:
        config = first_config(directory, os.environ, source and directory / source)
    except Untranslatable as error:
        raise MsctlError(f"{source}: {error}") from None
    if dry_run:
        streams.write(config.text.removesuffix("\n"))
    else:
        write_new(directory / FILE_NAME, config.text)
    _report(config)
    if not dry_run:
        streams.say(f"wrote {FILE_NAME}")
        if not os.path.lexists(directory / SCHEMA):
            write_new(directory / SCHEMA, schema_text() + "\n")
            streams.say(f"wrote {SCHEMA}, by which editors complete and check it")
        edit = "edit it" if config.is_example else "look it over"
        streams.say(f"next: {edit}, then msctl up")
    return ExitCode.OK


def _refuse_existing(directory: Path) -> None:
    """Raise MsctlError when the directory has a configuration, also one that is a broken link."""
    for name, what in ((FILE_NAME, "it"), (DIRECTORY_NAME, "the files in it")):
        if os.path.lexists(directory / name):
            raise MsctlError(
                f"{name} is here already; edit {what}, or see what init would write: "
                "msctl init --dry-run"
            )


def write_new(file: Path, text: str) -> None:
    """Write a file that is not there yet, all of it or nothing; raises MsctlError."""
    try:
        descriptor = os.open(file, _NEW, _MODE)
    except FileExistsError:
        raise MsctlError(f"{file.name} has appeared meanwhile; it was left as it is") from None
    except OSError as error:
        raise MsctlError(f"{file} cannot be written: {_reason(error)}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise MsctlError(f"{file} cannot be written: {_reason(error)}") from None
        raise


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _report(config: "FirstConfig") -> None:
    """Say on stderr what was found, and what was not."""
    for name, sketch in config.services.items() if not config.is_example else ():
        port = sketch.keys.get("port")
        streams.say(f"{name}{f' on port {port}' if port else ''}, from {sketch.origin}")
    for name, sketch in config.left_out.items():
        warn(f"{name}, from {sketch.origin}, is there as a comment only: {sketch.left_out}")
    for each in config.skipped:
        warn(each)
    for problem in config.elsewhere:
        warn(f"msctl up will refuse this: {problem}")
    if config.is_example:
        streams.say(
            "found no app, Procfile, compose or process-compose file to run: my-service is an example"
        )
    if os.environ.get(VARIABLE):
        warn(f"${VARIABLE} is set, and names what the other commands use")
