"""What /proc shows of a process that became another one by fork: command line and environment.

The kernel shows the memory that exec once filled. A forked instance has it point to memory of
its own, so that `ps` and whoever looks for MSCTL_INSTANCE (`proctree.instance_of`) see what
they would see had it been exec'd. Linux only.
"""

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_MM = 35
_PR_SET_MM_MAP = 14
_NO_FILE = 2**32 - 1
_OWN_WORDS: list[object] = []
"""Keeps alive what the kernel was told to show."""


class _MemoryMap(ctypes.Structure):
    """`struct prctl_mm_map`."""

    _fields_ = (
        ("start_code", ctypes.c_uint64),
        ("end_code", ctypes.c_uint64),
        ("start_data", ctypes.c_uint64),
        ("end_data", ctypes.c_uint64),
        ("start_brk", ctypes.c_uint64),
        ("brk", ctypes.c_uint64),
        ("start_stack", ctypes.c_uint64),
        ("arg_start", ctypes.c_uint64),
        ("arg_end", ctypes.c_uint64),
        ("env_start", ctypes.c_uint64),
        ("env_end", ctypes.c_uint64),
        ("auxv", ctypes.c_void_p),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )


# The fields of /proc/self/stat, counted from the one behind the command's name (proc(5)).
_STAT_FIELDS = {
    "start_code": 23,
    "end_code": 24,
    "start_stack": 25,
    "start_data": 42,
    "end_data": 43,
    "start_brk": 44,
    "arg_start": 45,
    "arg_end": 46,
    "env_start": 47,
    "env_end": 48,
}


def show_process(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Show these as the process's command line and environment."""
    shown_arguments = _block(arguments)
    shown_environment = _block([f"{key}={value}" for key, value in environment.items()])
    libc = ctypes.CDLL(None, use_errno=True)
    now = _read_stat()
    memory = _MemoryMap(**now, auxv=None, auxv_size=0, exe_fd=_NO_FILE)
    libc.sbrk.restype = ctypes.c_void_p
    memory.brk = libc.sbrk(ctypes.c_ssize_t(0))
    words = ctypes.create_string_buffer(shown_arguments + shown_environment)
    start = ctypes.addressof(words)
    memory.arg_start, memory.arg_end = start, start + len(shown_arguments)
    memory.env_start = memory.arg_end
    memory.env_end = memory.env_start + len(shown_environment)
    size = ctypes.sizeof(memory)
    if libc.prctl(_PR_SET_MM, _PR_SET_MM_MAP, ctypes.byref(memory), size, 0) == 0:
        _OWN_WORDS[:] = [words]
    else:  # a kernel without CONFIG_CHECKPOINT_RESTORE: what there is room for
        for key, value in os.environ.items():
            os.putenv(key, value)  # the real environment moves away from there
        _fill(now["arg_start"], now["arg_end"], shown_arguments)
        _fill(now["env_start"], now["env_end"], shown_environment)


def _block(words: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(word) + b"\0" for word in words)


def _read_stat() -> dict[str, int]:
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    return {name: int(fields[position]) for name, position in _STAT_FIELDS.items()}


def _fill(start: int, end: int, words: bytes) -> None:
    ctypes.memset(start, 0, end - start)
    room = end - start - 1  # the last byte stays: the kernel reads on where there is no end
    ctypes.memmove(start, words[:room], min(len(words), room))
