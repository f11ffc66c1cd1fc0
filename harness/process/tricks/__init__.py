"""What the system must be asked for so that trials are fast and repeatable; results are the same without.

Each trick says in its file what it gains, as measured. `COORDBENCH_TRICKS=off` leaves all of them out, a list of names
such as `COORDBENCH_TRICKS=-moved_code` those.
"""

from __future__ import annotations

import os
from typing import Literal

VARIABLE = "COORDBENCH_TRICKS"

Trick = Literal["moved_code"]


def enabled(trick: Trick) -> bool:
    """Whether a trick is wanted."""
    text = os.environ.get(VARIABLE, "")
    return text.strip() != "off" and f"-{trick}" not in (name.strip() for name in text.split(","))
