"""What lies where in a fleet's state directory, as strings: every command finds the socket so.

`msctl.runtime.statedir` keeps these files.
"""

SOCKET = "control.sock"
LOCK = "lock"
RUN_FILE = "run.json"
LOGS = "logs"
PROJECTS = "projects"


def state_root(project_dir: str, project: str | None = None) -> str:
    """Return the state directory of the fleet in a directory, or of its namesake `project`.

    A fleet under another name keeps its state below that of the first (design.md, Processes).
    """
    root = f"{project_dir.rstrip('/')}/.msctl"
    return root if project is None else f"{root}/{PROJECTS}/{project}"


def enclosing_root(root: str) -> str | None:
    """Return the state directory that this one is below; None for that of a first fleet."""
    above, slash, _ = root.rpartition(f"/{PROJECTS}/")
    return above if slash and above.endswith("/.msctl") else None
