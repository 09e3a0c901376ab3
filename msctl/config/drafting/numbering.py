"""Ports for a new configuration: those of the sources, and free numbers for the rest."""

from collections.abc import Sequence

FIRST_PORT = 8001
GATEWAY_PORT = 8700
"""The router's own port (contract.md, HTTP): no service gets it."""
_HIGHEST_PORT = 65535


def valid_port(value: object) -> int | None:
    """Return the value as a port, None when it is none."""
    text = str(value).strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len("65535") else 0
    return number if 1 <= number <= _HIGHEST_PORT else None


def distinct_ports(wanted: Sequence[int | None]) -> list[int]:
    """Return a port for each: the wanted one if nobody before has it, else the next free one."""
    taken = {GATEWAY_PORT}
    given: dict[int, int] = {}
    for index, port in enumerate(wanted):
        if port is not None and port not in taken:
            taken.add(port)
            given[index] = port
    following = FIRST_PORT
    for index in range(len(wanted)):
        if index not in given:
            while following in taken:
                following += 1
            taken.add(following)
            given[index] = following
    return [given[index] for index in range(len(wanted))]
