"""Which values are secrets, and how anything is printed without them (contract.md, Config)."""

import re
from collections.abc import Iterable, Mapping

MASK = "***"

_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|token|key|credential|[_-]pwd$", re.IGNORECASE
)
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_SHORTEST = 4


def is_secret(key: str) -> bool:
    """Whether a variable or key of this name holds a secret, going by the name."""
    return _SECRET_KEY.search(key) is not None


def mask(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the same variables, fit to be printed: secrets, and user and password of URLs, masked."""
    return {key: MASK if is_secret(key) else mask_urls(value) for key, value in mapping.items()}


def mask_urls(text: str) -> str:
    """Return the text without the user and password that a URL in it carries."""
    return _USER_INFO.sub(f"{MASK}@", text)


def mask_text(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every one of these secret values masked.

    Values under 4 characters are left: they occur by chance, and masking them all would
    show what they are.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    return mask_urls(text)
