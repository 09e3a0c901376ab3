"""The files of other tools that say what runs in a project."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msctl.config.drafting.compose import read_compose
from msctl.config.drafting.process_compose import read_process_compose
from msctl.config.drafting.procfile import read_procfile
from msctl.config.drafting.sketch import Sketches, Untranslatable
from msctl.config.drafting.source_tree import read_yaml
from msctl.config.paths import is_file

Reader = Callable[[str, Path], Sketches]

_LARGEST = 1024 * 1024


def _procfile(source: str, file: Path) -> Sketches:
    found = read_procfile(source, file.name)
    if not found.services:
        raise Untranslatable("has no line of the form `name: command`")
    return found


_KNOWN: Mapping[str, Reader] = {
    **dict.fromkeys(("process-compose.yaml", "process-compose.yml"), read_process_compose),
    **dict.fromkeys(("Procfile", "Procfile.dev"), _procfile),
    **dict.fromkeys(
        ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"), read_compose
    ),
}
"""By file name; of several for one reader the first that is there counts."""


def files_in(directory: Path) -> Iterator[Path]:
    """Yield the files of other tools in a directory, one of each tool."""
    readers: set[Reader] = set()
    for name, reader in _KNOWN.items():
        if reader not in readers and is_file(directory / name):
            readers.add(reader)
            yield directory / name


def read_source(file: Path) -> Sketches:
    """Return what a file says, whatever it is called; raises Untranslatable."""
    source = _text(file)
    reader = _KNOWN.get(file.name)
    if reader is None:
        reader = _reader_of(source, file)
    return reader(source, file)


def _reader_of(source: str, file: Path) -> Reader:
    """Return the reader for a file with a name of its own, by what is in it."""
    if file.suffix not in {".yaml", ".yml"}:
        return _procfile
    root = read_yaml(source, file)
    return read_process_compose if "processes" in root else read_compose


def _text(file: Path) -> str:
    """Return the text of a file; what is no UTF-8 in it is replaced."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise Untranslatable((error.strerror or str(error)).lower()) from None
    if len(data) > _LARGEST:
        raise Untranslatable("is larger than 1 MiB")
    return data.decode("utf-8-sig", errors="replace")
