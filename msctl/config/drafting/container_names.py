"""Names by which containers reach each other, as the addresses of this machine."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from msctl.config.drafting.sketch import Sketch, Value

_NOTE = "the names of containers in its settings became localhost"


def without_container_names(sketch: Sketch, places: Mapping[str, int | None]) -> Sketch:
    """Return the sketch with localhost and service ports where it names other containers.

    `places` are the service ports by the containers' names.
    """
    if not sketch.in_container or not places:
        return sketch
    names = "|".join(re.escape(name) for name in sorted(places, key=len, reverse=True))
    in_url = re.compile(rf"(://(?:[^\s/@]*@)?)({names})(?::\d+)?(?=[/?,\"'\s]|$)")
    alone = re.compile(rf"({names}):\d+")

    def moved(text: str) -> str:
        match = alone.fullmatch(text)
        if match:
            return _address(places[match[1]])
        return in_url.sub(lambda match: match[1] + _address(places[match[2]]), text)

    keys = {
        key: _changed(value, moved) if key in {"environment", "command"} else value
        for key, value in sketch.keys.items()
    }
    environment = keys.get("environment")
    if isinstance(environment, dict):
        keys["environment"] = {
            name: "localhost" if name.upper().endswith("HOST") and value in places else value
            for name, value in environment.items()
        }
    notes = sketch.notes if keys == sketch.keys else (*sketch.notes, _NOTE)
    return replace(sketch, keys=keys, notes=notes)


def _address(port: int | None) -> str:
    return f"localhost:{port}" if port else "localhost"


def _changed(value: Value, change: Callable[[str], str]) -> Value:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return value
