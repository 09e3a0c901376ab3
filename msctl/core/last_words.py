"""What the last lines of a program say of its end: the error in them, and where it arose."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msctl.core.why_facts import Line

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?')
_ERROR = re.compile(r"(?:Uncaught )?(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception)(?: \[\w+\])?(?::|$)")
_NODE_FRAME = re.compile(r"\s+at .*?\(?(?P<file>(?:file://)?/[^():]+):(?P<line>\d+):\d+\)?$")
_LIBRARY = ("site-packages", "dist-packages", "/lib/python", "<frozen", "<string>")
_IN_USE = re.compile(r"address already in use|eaddrinuse", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d{2,5}(?![\w.])|(?<=:)\d{2,5}(?!\w)")
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """The line that tells most; `places` are the `file:line` that lead to it, innermost first."""

    text: str
    places: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    """What the error followed from, where several were chained."""


def last_words(lines: Sequence[Line], *, killed: bool = False) -> LastWords | None:
    """Return what the lines say; None when there is nothing.

    A Python traceback tells more than the lines after it, then any line that is an error's,
    then the last one on stderr. `killed` says that a signal ended the program: then its last
    line is simply where it was.
    """
    said = [line for line in lines if line.text.strip()]
    if not said:
        return None
    if killed:
        return LastWords(text=said[-1].text.strip())
    errors = [line for line in said if line.stream == "stderr"]
    texts = [line.text for line in errors or said]
    return _from_traceback(texts) or _from_error(texts) or LastWords(text=texts[-1].strip())


def ports_in_use(lines: Sequence[Line]) -> tuple[int, ...] | None:
    """Return the ports that a program may mean which says that its address is in use.

    None when it says nothing of the kind; some programs name the port a line later.
    """
    places = [n for n, line in enumerate(lines) if _IN_USE.search(line.text)]
    if not places:
        return None
    near = [line.text for n in places for line in lines[n : n + 2]]
    found = [int(number) for text in near for number in _NUMBER.findall(text)]
    return tuple(dict.fromkeys(port for port in found if 0 < port <= _HIGHEST_PORT))


def mentions(texts: Iterable[str], name: str, port: int | None) -> bool:
    """Whether any of the texts names a service, by its name, its variables or its port."""
    stem = re.escape(name.removesuffix("-service"))
    words = [rf"\b{re.escape(name)}\b", rf"\b{stem}\b", rf"\b{stem.replace('-', '_')}_\w+"]
    words = [word.replace(r"\-", "[-_ ]") for word in words]
    if port is not None:
        words.append(rf"(?:[:.]|\bport\b\W*|', ){port}\b")
    pattern = re.compile("|".join(words), re.IGNORECASE)
    return any(pattern.search(text) for text in texts)


def _from_traceback(texts: Sequence[str]) -> LastWords | None:
    begins = [n for n, text in enumerate(texts) if _TRACEBACK in text]
    if not begins:
        return None
    told = [_one_traceback(texts[begin + 1 :]) for begin in begins]
    error, places = told[-1]
    if not error:
        return None
    earlier = tuple(dict.fromkeys(text for text, _ in told[:-1] if text and text != error))
    chained = any("exception" in text and text.endswith(":") for text in texts[begins[0] :])
    return LastWords(text=error, places=places, causes=earlier if chained else ())


def _one_traceback(texts: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    frames: list[str] = []
    error = ""
    for text in texts:
        if match := _FRAME.match(text):
            frames.append(_place(match["file"], match["line"], match["name"]))
        elif text and not text[0].isspace():
            error = text.strip()
            break
    if not frames:
        return error, ()
    own = [frame for frame in frames if not any(part in frame for part in _LIBRARY)]
    return error, tuple(dict.fromkeys([frames[-1], *own[-1:]]))


def _place(file: str, line: str, name: str | None) -> str:
    return f"{file}:{line}" + (f" in {name}" if name else "")


def _from_error(texts: Sequence[str]) -> LastWords | None:
    found = [n for n, text in enumerate(texts) if _ERROR.match(text)]
    if not found:
        return None
    place = next((m for text in texts[found[-1] + 1 :] if (m := _NODE_FRAME.match(text))), None)
    places = (_place(place["file"], place["line"], None),) if place else ()
    return LastWords(text=texts[found[-1]].strip(), places=places)
