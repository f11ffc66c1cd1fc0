"""Moved code is the same code: it lies elsewhere, and what it computes stays."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from coordbench.harness.process.tricks import placement

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells where memory lies")


def _frames(span: placement.Span) -> tuple[int, ...]:
    """The physical page of each page of a span; zeros for who may not know."""
    pages = span.size // 4096
    with Path("/proc/self/pagemap").open("rb") as table:
        table.seek(span.begin // 4096 * 8)
        entries = struct.unpack(f"<{pages}Q", table.read(8 * pages))
    return tuple(entry & ((1 << 55) - 1) for entry in entries)


@linux
def test_compiled_kernels_move_and_compute_what_they_did() -> None:
    conv, x = nn.Conv2d(16, 16, 3), torch.randn(4, 16, 32, 32)
    before = conv(x)
    spans = placement.compiled()
    if not spans:
        pytest.skip("this build of torch compiles no kernels of its own")
    places = [_frames(span) for span in spans]
    assert all(placement.relocate(span) for span in spans)
    assert placement.compiled() == spans
    assert torch.equal(conv(x), before)
    if os.geteuid() == 0 and any(map(any, places)):
        assert all(old != new for span, places_ in zip(spans, places, strict=True)
                   for old, new in zip(places_, _frames(span), strict=True) if old)  # fmt: skip


@linux
def test_what_is_no_longer_there_stays_alone() -> None:
    assert not placement.relocate(placement.Span(1 << 45, 8192, 5))


def test_only_code_without_a_file_moves(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(
        "7f0000000000-7f0000002000 r-xp 00000000 00:00 0\n"
        "7f0000004000-7f0000005000 rwxp 00000000 00:00 0\n"
        "7f0000006000-7f0000007000 rw-p 00000000 00:00 0\n"
        "7f0000008000-7f0000009000 --xp 00000000 00:00 0\n"
        "7f000000a000-7f000000b000 r-xp 00000000 08:01 77 /usr/lib/libc.so.6\n"
        "7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]\n"
    )
    first, second = 0x7F0000000000, 0x7F0000004000
    assert placement.compiled(maps) == [placement.Span(first, 8192, 5), placement.Span(second, 4096, 7)]
    assert placement.compiled(tmp_path / "missing") == []
