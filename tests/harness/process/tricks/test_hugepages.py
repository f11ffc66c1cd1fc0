"""The memory of a process in huge pages: as many as the system says, and nothing in it changes."""

import subprocess
import sys

import pytest

PROGRAM = """
import re, pathlib
from coordbench.harness.process.tricks import hugepages
held = bytearray(range(256)) * (1 << 18)  # 64 MiB
def huge():
    return sum(map(int, re.findall(r"AnonHugePages: +(\\d+)", pathlib.Path("/proc/self/smaps").read_text())))
before, count = huge(), hugepages.collapse()
assert held == bytearray(range(256)) * (1 << 18)
print(count, (huge() - before) // 2048)
"""


def test_collapse_gathers_what_a_process_holds_and_changes_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    said, grown = map(int, done.stdout.split())
    if said == 0:
        pytest.skip("this kernel gathers no pages: it needs Linux 6.1")
    assert said >= grown >= 28  # the 32 of the array but for its ends
