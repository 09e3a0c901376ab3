"""What one file contributes to the fleet: services, and settings for all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from msctl.config.messages import FLEET_KEYS, SERVICE_KEYS, problem_at, unknown_key, where
from msctl.config.nodes import Entry, Listing, Mark, Node, Scalar, Table, faults_of, in_section
from msctl.config.suggestions import nearest
from msctl.errors import Problem

_EXTENSION = "x-"


@dataclass(frozen=True, slots=True)
class Draft:
    """A service as it stands in a file, before anything is checked."""

    table: Table
    label: str
    """Its path in messages: `services.NAME`, or its position while it has no name."""
    mark: Mark
    name: str | None
    """None when it gives none that is text."""


@dataclass
class Contents:
    """All that one file says."""

    drafts: list[Draft] = field(default_factory=list)
    settings: Table | None = None
    """The keys beside the services, `defaults` apart."""
    defaults: Entry | None = None
    problems: list[Problem] = field(default_factory=list)


def contents_of(root: Node) -> Contents:
    """Take a file apart; it holds one service, a list of them, or the keys of a fleet."""
    if isinstance(root, Listing):
        return _of_list(root, "services")
    if isinstance(root, Scalar):
        message = "expected a mapping of keys to values; a service needs at least name and port"
        return Contents(problems=[Problem(root.mark.file, root.mark.line, "", message)])
    if _is_service(root):
        draft = _draft(root, "services[0]", root.mark)
        return Contents(drafts=[draft], problems=list(fault_problems(root, draft.label)))
    if FLEET_KEYS & root.entries.keys():
        return _of_fleet(root)
    return _of_unknown(root)


def _is_service(root: Table) -> bool:
    if "services" in root:
        return False
    if "name" not in root and FLEET_KEYS & root.entries.keys():
        return False
    return not root.entries or bool(SERVICE_KEYS & root.entries.keys())


def fault_problems(node: Node, label: str) -> Iterator[Problem]:
    """Yield the faults in a tree as problems."""
    for path, fault in faults_of(node):
        steps = (*path, fault.key) if fault.key is not None else path
        yield Problem(
            fault.mark.file, fault.mark.line, where(fault.mark, label, steps), fault.message
        )


def _draft(table: Table, label: str, mark: Mark, name: str | None = None) -> Draft:
    given = table.get("name")
    if name is None and isinstance(given, Scalar):
        name = given.text
    return Draft(table, label if name is None else f"services.{name}", mark, name)


def _of_list(root: Listing, label: str) -> Contents:
    found = Contents(problems=list(fault_problems(Listing(root.mark, (), root.faults), label)))
    for index, item in enumerate(root.items):
        place = f"{label}[{index}]"
        if isinstance(item, Table):
            draft = _draft(item, place, item.mark)
            found.drafts.append(draft)
            found.problems += fault_problems(item, draft.label)
        else:
            found.problems.append(_not_a_service(item.mark, place))
    return found


def _of_fleet(root: Table) -> Contents:
    services = root.get("services")
    settings = root.without("services", "defaults", *_extensions(root))
    found = _of_services(services)
    found.settings = settings
    found.problems += fault_problems(root.without("services"), "")
    defaults = root.entries.get("defaults")
    if defaults and isinstance(defaults.node, Table):
        found.defaults = Entry(defaults.mark, in_section(defaults.node, "defaults"))
    elif root.get("defaults") is not None:
        message = "expected a mapping: the keys that every service starts from"
        found.problems.append(problem_at(root, "", ("defaults",), message))
    return found


def _of_services(services: Node | None) -> Contents:
    if services is None:
        return Contents()
    if isinstance(services, Listing):
        return _of_list(services, "services")
    if isinstance(services, Scalar):
        message = "expected a mapping of services by name; to name files, use include"
        return Contents(problems=[problem_at(services, "services", (), message)])
    found = Contents(problems=list(fault_problems(services, "services")))
    for name, entry in services.entries.items():
        label = f"services.{name}"
        if isinstance(entry.node, Scalar) and entry.node.null:
            found.drafts.append(Draft(Table(entry.mark), label, entry.mark, name))
        elif not isinstance(entry.node, Table):
            found.problems.append(_not_a_service(entry.mark, label))
        else:
            given = entry.node.get("name")
            if given is not None and not (isinstance(given, Scalar) and given.text == name):
                message = f"differs from the key {name} above it; remove it"
                found.problems.append(problem_at(entry.node, label, ("name",), message))
            found.drafts.append(Draft(entry.node.without("name"), label, entry.mark, name))
    return found


def _of_unknown(root: Table) -> Contents:
    """Report a mapping without any key that is known, by what it nearly is."""
    named = [key for key in root.entries if not key.startswith(_EXTENSION)]
    tables = [key for key in named if isinstance(root.entries[key].node, Table)]
    if len(tables) == len(named) and not any(nearest(key, ["services"]) for key in named):
        message = f"put {', '.join(named)} under `services:`, if these are services"
        return Contents(problems=[Problem(root.mark.file, root.mark.line, "", message)])
    if tables:
        problems = [problem_at(root, "", (key,), unknown_key(key, (), "")) for key in named]
        return Contents(problems=[*problems, *fault_problems(root, "")])
    draft = _draft(root, "services[0]", root.mark)
    return Contents(drafts=[draft], problems=list(fault_problems(root, draft.label)))


def _extensions(root: Table) -> Iterator[str]:
    """Keys that exist to hold anchors, as docker compose has them."""
    return (key for key in root.entries if key.startswith(_EXTENSION))


def _not_a_service(mark: Mark, label: str) -> Problem:
    message = "expected a mapping of keys to values; a service needs at least a port"
    return Problem(mark.file, mark.line, label, message)
