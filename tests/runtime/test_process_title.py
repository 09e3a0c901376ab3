import ctypes
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from msctl.runtime import process_title

SHOWS = """
import json, os, sys
from msctl.runtime import process_title
if "old kernel" in sys.argv:
    process_title._PR_SET_MM_MAP = 99
process_title.show_process(*json.load(sys.stdin))

def read(name):
    return open("/proc/self/" + name).read()

child = "import os; print(os.environ['REAL'])"
import subprocess, sys
print(json.dumps([read("cmdline"), read("environ"), os.environ["REAL"],
                  subprocess.run([sys.executable, "-c", child], capture_output=True,
                                 text=True).stdout.strip()]))
"""


def shown(arguments: list[str], environment: dict[str, str], *kernel: str) -> list[Any]:
    result = subprocess.run(
        [sys.executable, "-c", SHOWS, *kernel],
        env={"PATH": os.environ["PATH"], "REAL": "yes"},
        input=json.dumps([arguments, environment]).encode(),
        capture_output=True,
        check=True,
    )
    answer: list[Any] = json.loads(result.stdout)
    return answer


@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_command_line_and_environment_are_shown_whatever_their_size(size: int) -> None:
    long = "x" * size
    arguments, environment, *_ = shown(["a", "b c", long], {"A": "1", "LONG": long})
    assert arguments == f"a\0b c\0{long}\0"
    assert environment == f"A=1\0LONG={long}\0"


def test_the_environment_itself_is_another_matter() -> None:
    assert shown(["a"], {"A": "1"})[2:] == ["yes", "yes"]


def test_an_old_kernel_shows_as_much_as_there_is_room_for() -> None:
    arguments, environment, *real = shown(["a", "b"], {"MSCTL_INSTANCE": "a-1"}, "old kernel")
    assert arguments.startswith("a\0b\0")
    assert environment.startswith("MSCTL_INSTANCE=a-1\0")
    assert real == ["yes", "yes"]
    long = "x" * 300_000
    arguments, environment, *_ = shown([long], {"A": "1", "LONG": long}, "old kernel")
    assert set(arguments) == {"x", "\0"}
    assert environment.startswith("A=1\0LONG=xx")


def test_the_layout_is_the_kernels() -> None:
    # eleven addresses, a pointer, and two numbers of 32 bits
    assert ctypes.sizeof(process_title._MemoryMap) == 12 * 8 + 2 * 4
