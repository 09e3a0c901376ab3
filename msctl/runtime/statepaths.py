"""What lies where in a fleet's state directory, as strings: every command finds the socket so.

`msctl.runtime.statedir` keeps these files.
"""

SOCKET = "control.sock"
LOCK = "lock"
RUN_FILE = "run.json"
LOGS = "logs"


def state_root(project_dir: str, project: str | None = None) -> str:
    """Return the state directory of the fleet in a directory, or of its namesake `project`.

    A fleet under another name keeps its state below that of the first (design.md, Processes).
    """
    root = f"{project_dir.rstrip('/')}/.msctl"
    return root if project is None else f"{root}/projects/{project}"
