"""Tell whether a training had ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def still_falling(losses: Sequence[float], share: float = 0.01) -> bool:
    """Tell whether a loss curve still falls at its end.

    It does when its last tenth lies below the tenth before by more than `share` of the whole fall, and by more than
    two standard errors of that difference.
    """
    values = np.asarray(losses, dtype=float)
    tenth = max(2, len(values) // 10)
    if len(values) < 3 * tenth:
        return False
    last, before, first = values[-tenth:], values[-2 * tenth : -tenth], values[:tenth]
    drop = before.mean() - last.mean()
    noise = np.sqrt(last.var(ddof=1) / tenth + before.var(ddof=1) / tenth)
    return bool(drop > share * max(first.mean() - last.mean(), 0.0) and drop > 2 * noise)
