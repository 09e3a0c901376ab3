"""How a service's address is handed on in the environment (contract.md, Injected)."""

from urllib.parse import urlsplit


def address_variables(name: str, url: str) -> dict[str, str]:
    """Return `<NAME>_URL`, `_HOST` and `_PORT` of the service that is reached there."""
    prefix, parts = name.upper().replace("-", "_"), urlsplit(url)
    return {
        f"{prefix}_URL": url,
        f"{prefix}_HOST": parts.hostname or "",
        f"{prefix}_PORT": str(parts.port),
    }
