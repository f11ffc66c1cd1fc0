"""The memory of this process, region by region, as the system tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Region(NamedTuple):
    """A stretch of addresses, its rights (`rwxp` or dashes), and what it belongs to, empty where that is nothing."""

    begin: int
    end: int
    rights: str
    name: str


def regions(maps: Path = Path("/proc/self/maps")) -> Iterator[Region]:
    """All regions, lowest address first; none where the system does not tell."""
    try:
        lines = maps.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        span, rights, _, _, _, *name = line.split(maxsplit=5)
        begin, end = (int(address, 16) for address in span.split("-"))
        yield Region(begin, end, rights, "".join(name))
