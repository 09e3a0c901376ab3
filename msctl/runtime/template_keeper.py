"""Keeps a template at hand: one that died, or that has become out of date, is replaced."""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msctl.runtime.template import NotWarm, State, Template

logger = logging.getLogger(__name__)

RENEWAL_INTERVAL = 5.0
"""Seconds between two renewals; a template that dies at once must not keep a core busy."""
Fingerprint = tuple[tuple[str, ...], tuple[tuple[str, int], ...]]


class TemplateKeeper:
    """Owns the template of a daemon."""

    def __init__(
        self,
        first: Template | None,
        preload: Callable[[], Sequence[str]],
        environment: Mapping[str, str],
    ) -> None:
        self._template = first
        self._preload = preload
        self._first = first
        self._reason = "" if sys.platform == "linux" else "warm start needs Linux"
        """Why there can be none at all."""
        # An instance's own is left out, should the daemon's command have run in one.
        self.environment = {k: v for k, v in environment.items() if k != "MSCTL_INSTANCE"}
        """What the interpreter of the template was started with."""
        self._fingerprint = _fingerprint(preload())
        self._renewed_at = float("-inf")
        self._closed = False

    def open(self) -> None:
        """Begin to keep it; needs a running loop."""
        if self._template is not None:
            self._template.open(self._changed)

    def close(self) -> None:
        """Let the template end."""
        self._closed = True
        if self._template is not None:
            self._template.close()

    def template(self) -> Template:
        """Return the one to fork from; raises NotWarm, saying why there is none now."""
        if self._reason:
            raise NotWarm(self._reason)
        self._renew_if_outdated()
        template = self._template
        if template is None or template.state is State.LOST:
            self._renew()
        if template is None:
            raise NotWarm("there is no template yet")
        if template.state in {State.UNFIT, State.LOST}:
            raise NotWarm(template.reason)
        if template.state is State.IMPORTING and template is not self._first:
            raise NotWarm("the template is being started again")
        return template

    def _changed(self, template: Template) -> None:
        if template is not self._template or self._closed or template.state is State.READY:
            return
        logger.warning("instances are exec'd, not forked: %s", template.reason)
        if template.state is State.LOST:
            self._renew()

    def _renew_if_outdated(self) -> None:
        fingerprint = _fingerprint(self._preload())
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._renewed_at = float("-inf")
            self._renew()

    def _renew(self) -> None:
        """Start another one by exec: this process has a loop and threads by now."""
        now = asyncio.get_running_loop().time()
        if now - self._renewed_at < RENEWAL_INTERVAL:
            return
        self._renewed_at = now
        outdated, self._template = self._template, None
        if outdated is not None:
            outdated.close()
        try:
            template = Template.execute(self.environment)
        except OSError as error:
            logger.warning("no template: %s", error)
            return
        template.begin(self._preload())
        template.open(self._changed)
        self._template = template


def _fingerprint(preload: Sequence[str]) -> Fingerprint:
    """Return what a template depends on: its modules, and what is installed."""
    places = [Path(entry) for entry in sys.path if entry.endswith("-packages")]
    return tuple(preload), tuple((str(p), p.stat().st_mtime_ns) for p in places if p.exists())
