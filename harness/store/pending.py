"""The jobs of a stage that are not answered yet: handed out a few at a time, since other drivers may share them."""

from __future__ import annotations

import time

from coordbench.harness.core.identity import Identity
from coordbench.harness.core.trial import Job
from coordbench.harness.store.leases import Leases, Share

Planned = dict[int, tuple[Job, Identity]]
"""Position of an item -> its job and what its record depends on, for all that have no record yet."""

MOST = 2000
"""Jobs that are handed out at a time at most: so many records may wait in memory while the store is away."""

_SOON_SECONDS, _LATE_SECONDS = 10.0, 40.0
"""Half of what is handed out lasts about so long: enough for a store that restarts, little for others to wait for."""

_LOOK_SECONDS = 1.0
"""How often we look for what other drivers have answered, or have lost their lease of, while nothing else is to do."""

_SCAN = 500


class Pending:
    """The jobs of a stage by position, with the leases that are shared with other drivers; None shares nothing."""

    def __init__(self, planned: Planned, leases: Leases | None, slots: int) -> None:
        self.jobs = dict(planned)
        self.leases = leases
        self.least = min(2 * slots, MOST)
        self.window = self.least if leases else MOST
        self._turn = time.monotonic()

    def wants(self, outstanding: int) -> bool:
        """Whether it is time to hand out more."""
        return bool(self.jobs) and 2 * outstanding <= self.window

    @property
    def look_seconds(self) -> float | None:
        """How long to wait for one's own jobs before looking again at what others do; None where nothing is left."""
        return _LOOK_SECONDS if self.jobs else None

    def turn(self, outstanding: int) -> Share:
        """Hand out jobs beside those that are outstanding; say which ones others have answered."""
        total, wanted = Share(), self.window - outstanding
        if self.leases is None:
            total.ours = list(self.jobs)[:wanted]
        else:
            places = list(self.jobs)
            for first in range(0, len(places), _SCAN):
                scanned = [(place, self.jobs[place][1]) for place in places[first : first + _SCAN]]
                share = self.leases.take(scanned, wanted - len(total.ours))
                total.ours += share.ours
                total.answered |= share.answered
                total.others += share.others
                if len(total.ours) >= wanted:
                    break
        return total

    def note(self, share: Share) -> Planned:
        """Take out what was handed out or answered, put at the end what others do; return what is ours to do."""
        if share.ours:
            self._adapt()
        for place in share.answered:
            del self.jobs[place]
        for place in share.others:
            self.jobs[place] = self.jobs.pop(place)
        return {place: self.jobs.pop(place) for place in share.ours}

    def _adapt(self) -> None:
        """Hand out more at a time where it is done soon, less where that takes long."""
        if self.leases is None:
            return
        now = time.monotonic()
        lasted, self._turn = now - self._turn, now
        if lasted < _SOON_SECONDS:
            self.window = min(2 * self.window, MOST)
        elif lasted > _LATE_SECONDS:
            self.window = max(self.window // 2, self.least)
