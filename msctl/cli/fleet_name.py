"""Which of a directory's fleets is meant, as far as names tell."""

import os

from msctl.errors import UsageError
from msctl.runtime.statepaths import RUN_FILE

NAME = "MSCTL_PROJECT"
"""The fleet that a command is for, or an instance is of."""
DIRECTORY = "MSCTL_PROJECT_DIR"
"""The project directory that NAME belongs to; instances have both."""


def check_name(name: str, origin: str) -> None:
    """Raise UsageError for what cannot be a fleet's name; `origin` says where it is from."""
    from msctl.config.projectname import is_project_name  # noqa: PLC0415 - for start-up time

    if not is_project_name(name):
        raise UsageError(
            f"{origin}{name}: a name is letters, digits, dots, dashes and underscores, at most "
            "63, the first one a letter or digit"
        )


def told_by_environment(directory: str) -> str | None:
    """Return the fleet of this directory that the environment names.

    What an instance has in its environment counts only where it comes from: another project
    that it works on is none of its fleet's business.
    """
    name = os.environ.get(NAME)
    if not name:
        return None
    around = os.environ.get(DIRECTORY)
    if around is None:
        check_name(name, f"${NAME} is ")
        return name
    from msctl.config.projectname import is_project_name  # noqa: PLC0415 - for start-up time

    return name if around == directory and is_project_name(name) else None


def is_told_by_user() -> bool:
    """Whether the environment's name was set on purpose, and is not just an instance's own."""
    return bool(os.environ.get(NAME)) and DIRECTORY not in os.environ


def running_name(root: str) -> str | None:
    """Return the name of the fleet that runs in a state directory; None when none does."""
    try:
        with open(f"{root}/{RUN_FILE}", encoding="utf-8") as file:
            text = file.read()  # `json` takes longer to import than a command may
    except OSError:
        return None
    return text.partition('"project": "')[2].partition('"')[0]
