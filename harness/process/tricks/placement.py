"""Where compiled kernels lie in physical memory: one place in ten makes a kernel slower by up to 80 %.

oneDNN compiles a kernel once per process, onto whatever pages the system then gives it, and keeps it. Moving the code
to other pages under the same address every so often makes the place one of the things that a median forgets.

Gain: no time, but repeatable medians. How much hangs on the machine: where this was written one place in ten was slower
by up to 80 %; on another, with two busy cores, 2 of 720 places over five shapes, by 11 % and 43 %.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from dataclasses import dataclass
from pathlib import Path

from coordbench.harness.process.tricks import enabled
from coordbench.harness.process.tricks.regions import regions

_PRIVATE, _FIXED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 3  # MREMAP_MAYMOVE | MREMAP_FIXED
_FAILED = ctypes.c_void_p(-1).value


@dataclass(frozen=True)
class Span:
    """Code that belongs to no file: its first address, its bytes and their protection."""

    begin: int
    size: int
    rights: int


def compiled(maps: Path = Path("/proc/self/maps")) -> list[Span]:
    """All code that this process has compiled; none where the system does not tell, or the trick is off."""
    spans: list[Span] = []
    for begin, end, rights, name in regions(maps) if enabled("moved_code") else ():
        if not name and rights[0] == "r" and rights[2] == "x":
            writable = mmap.PROT_WRITE if rights[1] == "w" else 0
            spans.append(Span(begin, end - begin, mmap.PROT_READ | mmap.PROT_EXEC | writable))
    return spans


def relocate(span: Span) -> bool:
    """Move a span to other pages; return whether the system did, else it stays as it was.

    Addresses and contents remain. Meant for one thread: what another writes there meanwhile is lost.
    """
    libc, pages = _libc(), (ctypes.c_ubyte * (span.size // mmap.PAGESIZE + 1))()
    if libc.mincore(span.begin, span.size, pages):  # no longer mapped
        return False
    copy = libc.mmap(None, span.size, mmap.PROT_READ | mmap.PROT_WRITE, _PRIVATE, -1, 0)
    if copy == _FAILED:
        return False
    ctypes.memmove(copy, span.begin, span.size)
    moved = not libc.mprotect(copy, span.size, span.rights)
    moved = moved and libc.mremap(copy, span.size, span.size, _FIXED, span.begin) != _FAILED
    if not moved:
        libc.munmap(copy, span.size)
    return moved


@functools.cache
def _libc() -> ctypes.CDLL:
    libc, address, size = ctypes.CDLL(None), ctypes.c_void_p, ctypes.c_size_t
    libc.mmap.restype = libc.mremap.restype = address
    libc.mmap.argtypes = address, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long
    libc.mremap.argtypes = address, size, size, ctypes.c_int, address
    libc.mprotect.argtypes = address, size, ctypes.c_int
    libc.munmap.argtypes = address, size
    libc.mincore.argtypes = address, size, address
    return libc
