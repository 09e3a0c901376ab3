"""Variables in a compose file's texts, which docker compose replaces before anything else."""

import re

_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?])([^{}]*))?\})")


def converted(text: str) -> str:
    """Return the text as msctl means it: an unset variable is empty, as it is to compose."""
    return _VARIABLE.sub(_replaced, text)


def _replaced(match: re.Match[str]) -> str:
    dollar, bare, braced, operator, operand = match.groups()
    if dollar:
        return "$$"
    if operator:
        return f"${{{braced}:{operator[-1]}{operand}}}"
    return f"${{{bare or braced}:-}}"


def literal(text: str) -> str:
    """Return the text as the container's shell gets it; compose writes `$$` for a dollar."""
    return text.replace("$$", "$")
