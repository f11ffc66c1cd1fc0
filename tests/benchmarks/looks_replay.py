"""Looks replayed over the records of a real run of 20 seeds: `python -m tests.benchmarks.looks_replay [RECORDS.csv]`.

The records are the primary scores of short trainings of four layers in three contests (`looks_records.csv`, CPU). The
whole run is judged at its 20 seeds; the replay gives seeds look by look, and none to what is decided.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.statistics.paired import Comparison, judge, measure
from coordbench.harness.statistics.sequential import History, LookComparison, take_looks
from coordbench.harness.statistics.spending import Design

RECORDS = Path(__file__).with_name("looks_records.csv")
LOOKS = Design((6, 10, 14, 20))
BASELINE = "conv"


@dataclass(frozen=True)
class Pairs:
    """Paired differences to the baseline in a contest, positive where the variant is better."""

    contest: str
    variant: str
    differences: Floats
    margin: float


@dataclass(frozen=True)
class Replay:
    """The verdicts of the whole run and those by looks, and the trials of both."""

    pairs: list[Pairs]
    whole: list[Comparison]
    looked: list[LookComparison]
    planned: int
    spent: int

    @property
    def turned(self) -> list[Pairs]:
        """What the whole run decided, and looks decided otherwise."""
        both = zip(self.pairs, self.whole, self.looked, strict=True)
        return [
            pairs
            for pairs, whole, looked in both
            if "open" not in (whole.verdict, looked.comparison.verdict) and whole.verdict != looked.comparison.verdict
        ]

    @property
    def missed(self) -> list[Pairs]:
        """What the whole run decided, and looks left open."""
        both = zip(self.pairs, self.whole, self.looked, strict=True)
        return [p for p, whole, looked in both if whole.verdict != "open" and looked.comparison.verdict == "open"]


def read(path: Path = RECORDS) -> list[Pairs]:
    """The comparisons that the records hold."""
    records = pd.read_csv(path)
    listed = []
    for (task, backbone), rows in records.groupby(["task", "backbone"]):
        sign = 1.0 if rows["better"].iloc[0] == "higher" else -1.0
        merits = sign * rows.pivot_table(index="variant", columns="seed", values="score")
        for variant in merits.index.drop(BASELINE):
            differences = (merits.loc[variant] - merits.loc[BASELINE]).to_numpy(float)
            listed.append(Pairs(f"{task}, {backbone}", str(variant), differences, float(rows["margin"].iloc[0])))
    return listed


def replay(pairs: list[Pairs], design: Design = LOOKS) -> Replay:
    """Take look after look; what is decided, and a baseline of whose contest all is, gets no more."""
    taken = [1] * len(pairs)
    looked = take_looks(_histories(pairs, taken, design))
    for look in range(1, len(design.looks)):
        taken = [look + 1 if not one.final else count for one, count in zip(looked, taken, strict=True)]
        looked = take_looks(_histories(pairs, taken, design))
    whole = judge([one.differences for one in pairs], [one.margin for one in pairs])
    seeds = [design.looks[count - 1] for count in taken]
    contests = {one.contest for one in pairs}
    spent = sum(seeds) + sum(max(n for n, p in zip(seeds, pairs, strict=True) if p.contest == c) for c in contests)
    return Replay(pairs, whole, looked, (len(pairs) + len(contests)) * design.looks[-1], spent)


def _histories(pairs: list[Pairs], taken: list[int], design: Design) -> list[History]:
    return [
        History(tuple(measure(one.differences[:n], one.margin) for n in design.looks[:count]), design)
        for one, count in zip(pairs, taken, strict=True)
    ]


def main(path: Path = RECORDS) -> None:
    """Print the verdicts beside each other, and what looks saved."""
    result = replay(read(path))
    print("| contest | variant | 20 seeds | by looks | pairs | mean, its interval at all looks |\n" + "|---" * 6 + "|")
    for pairs, whole, looked in zip(result.pairs, result.whole, result.looked, strict=True):
        one = looked.comparison
        interval = f"{one.mean:.3g} [{one.low:.3g}, {one.high:.3g}]"
        print(f"| {pairs.contest} | {pairs.variant} | {whole.verdict} | {one.verdict} | {one.pairs} | {interval} |")
    saved = 1 - result.spent / result.planned
    spent = np.mean([looked.comparison.pairs for looked in result.looked])
    print(
        f"\n{result.spent} of {result.planned} trials, {100 * saved:.0f} % fewer; {spent:.1f} pairs a comparison; "
        f"{len(result.turned)} verdicts turned round, {len(result.missed)} of those decided left open"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDS)
