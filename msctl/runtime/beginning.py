"""The first steps of the daemon's process, before the imports that only the daemon needs."""

import gc
import resource
import sys
import traceback

from msctl.runtime.default_signals import restore_default_signals
from msctl.runtime.proctree import become_subreaper
from msctl.runtime.template import Template

_OPEN_FILES = 65536


def begin() -> Template | None:
    """Set up what every process of the fleet inherits, and fork the template.

    It goes on importing at the same time as the daemon does. None where there cannot be one.
    The garbage collector is off afterwards: what the imports make stays.
    """
    become_subreaper()  # not inherited from the guardian
    restore_default_signals()
    _raise_open_files_limit()
    gc.disable()
    if sys.platform != "linux":
        return None
    try:
        return Template.fork()
    except OSError:
        traceback.print_exc()  # instances are exec'd
        return None


def _raise_open_files_limit() -> None:
    """Allow for four descriptors an instance; the usual soft limit of 1024 ends at 200."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
