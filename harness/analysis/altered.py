"""Which records are no longer what was stored: a number that was changed by hand is seen by its checksum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import pandas as pd

from coordbench.harness.analysis.frames import children
from coordbench.harness.store import checksum, schema
from coordbench.harness.store.store import Store


def altered_records(
    store: Store, run: str, stored: Mapping[str, Sequence[object]], scores: pd.DataFrame, *, series: bool
) -> set[object]:
    """The records of items, by number, whose row or scores were altered; with `series` curves and samples too."""
    wrong = _rows(stored, _by_record(scores))
    return wrong | (_series(store, run) | _samples(store, run) if series else set())


def _by_record(scores: pd.DataFrame) -> dict[object, list[checksum.Score]]:
    listed: defaultdict[object, list[checksum.Score]] = defaultdict(list)
    columns = (scores[name].tolist() for name in ("record", "split", "metric", "value"))
    for record, split, metric, value in zip(*columns, strict=True):
        listed[record].append((str(split), str(metric), value))
    return listed


def _rows(stored: Mapping[str, Sequence[object]], scores: Mapping[object, list[checksum.Score]]) -> set[object]:
    values = zip(*(stored[name] for name in checksum.FIELDS), strict=True)
    return {
        record
        for record, mark, row in zip(stored["record"], stored["checksum"], values, strict=True)
        if record is not None and checksum.of_values(row, scores.get(record, ())) != mark
    }


def _series(store: Store, run: str) -> set[object]:
    names = ["metric", "steps", "seconds", "values", "checksum"]
    rows = [children(store, run, schema.series, names, kind) for kind in ("trial", "cost")]
    listed = pd.concat(rows)[["record", *names]].itertuples(index=False)
    return {record for record, *parts, mark in listed if checksum.of_parts(*parts) != mark}


def _samples(store: Store, run: str) -> set[object]:
    listed = children(store, run, schema.samples, ["data", "checksum"]).itertuples(index=False)
    return {record for record, data, mark in listed if checksum.of_parts(data) != mark}
