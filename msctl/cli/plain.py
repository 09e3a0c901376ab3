"""Quick answers about texts that need no more; for the others the library that has them all.

`re`, `json` and `urllib` take longer to import than a whole command may take, and most texts
that `msctl call` is given need none of what they can do.
"""

_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
"""What never has to be quoted in a URL (RFC 3986 §2.3)."""


def quote(text: str, safe: str) -> str:
    """Like `urllib.parse.quote`."""
    if not text.strip(_UNRESERVED + safe):
        return text
    from urllib.parse import quote as quote_any  # noqa: PLC0415 - see above

    return quote_any(text, safe=safe)


def urlencode(pairs: "list[tuple[str, str]]") -> str:
    """Like `urllib.parse.urlencode`."""
    if not "".join(key + value for key, value in pairs).strip(_UNRESERVED):
        return "&".join(f"{key}={value}" for key, value in pairs)
    from urllib.parse import urlencode as urlencode_any  # noqa: PLC0415 - see above

    return urlencode_any(pairs)


class _Context:
    """What the scanner in C asks for: plain JSON, as strict as `json.loads`."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_int = parse_constant = float
    memo: "dict[str, str]" = {}  # noqa: RUF012  never shared: there is one text in a process


def is_json(text: str) -> bool:
    """Whether `json.loads` can read the text."""
    try:
        from _json import make_scanner  # noqa: PLC0415 - see above

        _, end = make_scanner(_Context)(  # type: ignore[arg-type]
            text, len(text) - len(text.lstrip(" \t\n\r"))
        )
        if not text[end:].strip(" \t\n\r"):
            return True
    except Exception:  # noqa: BLE001, S110  it is not ours to know: the next one decides
        pass
    from json import loads  # noqa: PLC0415 - see above

    try:
        loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def content_type(name: str) -> str | None:
    """Return what `mimetypes` says of a file's name."""
    if name.endswith(".json"):
        return "application/json"
    from mimetypes import guess_type  # noqa: PLC0415 - see above

    return guess_type(name)[0]
