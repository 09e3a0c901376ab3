"""`msctl schema`: the configuration's JSON Schema, for editors."""

from msctl.cli import streams
from msctl.cli.options import Action
from msctl.exitcodes import ExitCode


def command() -> Action:
    """Print the JSON Schema of the configuration, which editors complete and check it by."""
    return _schema


def _schema() -> int:
    # Imported here for start-up time: it needs the configuration's models.
    from msctl.config.schema import schema_text  # noqa: PLC0415

    streams.write(schema_text())
    return ExitCode.OK
