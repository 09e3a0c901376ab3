"""Reads the files of a fleet and those that they include, each once, in a fixed order."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msctl.config.contents import Draft, contents_of
from msctl.config.expansion import expand_tree
from msctl.config.fleet import FleetSettings
from msctl.config.messages import problem_at
from msctl.config.nodes import Entry, Table
from msctl.config.paths import absolute, is_dir, is_file
from msctl.config.reader import Unreadable, parse_tree, read_tree
from msctl.config.validate import validate
from msctl.errors import Problem

_SUFFIXES = frozenset({".yaml", ".yml"})
_MAGIC = frozenset("*?[")


@dataclass
class Files:
    """What the files of one load say together; `problems` collects what is wrong in them."""

    variables: Mapping[str, str]
    unwritten: Mapping[Path, str] = field(default_factory=dict)
    """Texts that count as what is in these files."""
    drafts: list[Draft] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)
    """The validated settings by key; each may be given once in all files."""
    defaults: Table | None = None
    read: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _given: dict[str, Entry] = field(default_factory=dict)

    def load(self, paths: Sequence[Path]) -> None:
        """Read these files and directories, and what they include."""
        for path in paths:
            if is_dir(path):
                files = yaml_files(path)
                if not files:
                    message = "has no .yaml file; write one for each service"
                    self.problems.append(Problem(path, 0, "", message))
                for file in files:
                    self._load_file(file)
            else:
                self._load_file(path)

    def _load_file(self, file: Path) -> None:
        if file in self.read:
            return
        self.read.append(file)
        try:
            text = self.unwritten.get(file)
            root = read_tree(file) if text is None else parse_tree(text, file)
        except Unreadable as error:
            self.problems.append(error.problem)
            return
        if root is None:
            message = "is empty; a service needs at least name and port"
            self.problems.append(Problem(file, 0, "", message))
            return
        contents = contents_of(expand_tree(root, self.variables))
        self.problems += contents.problems
        self.drafts += contents.drafts
        if contents.defaults and self._first("defaults", contents.defaults):
            node = contents.defaults.node
            self.defaults = node if isinstance(node, Table) else None
        if contents.settings is not None:
            self._settle(contents.settings)

    def _settle(self, table: Table) -> None:
        settings, problems, _ = validate(FleetSettings, table, "")
        self.problems += problems
        for key, entry in table.entries.items():
            if key in FleetSettings.model_fields and (key == "include" or self._first(key, entry)):
                self.settings[key] = getattr(settings, key)
        for index, pattern in enumerate(settings.include):
            found = list(included(pattern, table.mark.file.parent))
            if not found:
                path = ("include", index)
                message = f"{pattern} matches no .yaml file; correct it or remove it"
                self.problems.append(problem_at(table, "", path, message))
            self.load(found)

    def _first(self, key: str, entry: Entry) -> bool:
        """Whether no other file has given this key, which counts for all of them."""
        first = self._given.setdefault(key, entry)
        if first is entry:
            return True
        message = f"is given in {first.mark.file}:{first.mark.line} already; remove one of them"
        self.problems.append(Problem(entry.mark.file, entry.mark.line, key, message))
        return False


def yaml_files(directory: Path) -> list[Path]:
    """Return the configuration files directly in a directory, by name; hidden ones do not count."""
    return [path for path in _listing(directory) if _is_config(path)]


def included(pattern: str, base: Path) -> Iterator[Path]:
    """Return what an item of `include` stands for, relative to `base`; nothing where nothing matches."""
    if not _MAGIC & set(pattern):
        path = absolute(Path(pattern), base)
        if is_file(path) or (is_dir(path) and yaml_files(path)):
            yield path.resolve()
        return
    # Path.glob raises for absolute patterns and for some that are merely odd.
    matches = glob.glob(pattern, root_dir=base, recursive=True)  # noqa: PTH207 - see above
    for match in sorted(matches):
        path = base / match
        if _is_config(path) or (is_dir(path) and yaml_files(path)):
            yield path.resolve()


def _listing(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:  # it may not be listed: it has nothing for us
        return []


def _is_config(path: Path) -> bool:
    return path.suffix in _SUFFIXES and not path.name.startswith(".") and is_file(path)
