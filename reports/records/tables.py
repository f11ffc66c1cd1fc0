"""What a marked part of a document may ask for: tables, and single numbers, of runs of record."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import FAILED
from coordbench.harness.measure.table import SHAPES, flatten
from coordbench.harness.statistics.intervals import deviation_interval, mean_interval
from coordbench.reports.claims.across import WORDS, counts
from coordbench.reports.claims.measures import scores as by_seed
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.run import Run
from coordbench.reports.files.markdown import cell, row, rule
from coordbench.reports.pages.matrix import matrix
from coordbench.reports.records.blocks import Block
from coordbench.reports.records.fates import fates as table_of_fates
from coordbench.reports.records.records import Records, RunOfRecord
from coordbench.reports.text import MISSING, known, number, plural, with_interval

QUANTITIES = {
    "forward_backward": "ratio_forward_backward",
    "forward": "ratio_forward",
    "memory": "ratio_memory",
}
"""What a single number of a run of costs may be: multiples of the plain convolution."""

SPREAD = "spread"


def write(records: Records, block: Block) -> str:
    """What stands in a marked part; raise UsageError where nothing can."""
    maker = MAKERS.get(block.name)
    if maker is None:
        raise UsageError(f"results: {block.words!r} is unknown; valid: {', '.join(MAKERS)}")
    try:
        inspect.signature(maker).bind(records, *block.arguments)
    except TypeError as error:
        raise UsageError(f"results: {block.words!r} has too few or too many arguments") from error
    return maker(records, *block.arguments)


def runs(records: Records) -> str:
    """One row per run of record."""
    head = row("run", "made by", "rows", "failed", "not run", "machine", "date", "revision", "note")
    return "\n".join([head, rule(8), *map(_run, records.runs.values())])


def _run(record: RunOfRecord) -> str:
    facts = record.run.facts
    statuses = pd.concat([record.run.tables.trials["status"], record.run.tables.costs["status"]])
    skipped = int((statuses == "skipped").sum())
    return row(
        record.name, facts.command, len(statuses) - skipped, int(statuses.isin(FAILED).sum()), skipped, record.machine,
        str(facts.started)[:10], str(facts.commit or MISSING)[:10], record.note,
    )  # fmt: skip


def state(records: Records) -> str:
    """How many rows of each run were verified, and which are stale: this changes with the sources."""
    head = row("run", "verified rows", "stale rows")
    lines = [row(name, record.verified, len(record.stale)) for name, record in records.runs.items()]
    return "\n".join([head, rule(2), *lines, *_stale(records)])


def _stale(records: Records) -> list[str]:
    """What changed since, each change once with the number of rows that it makes stale."""
    lines = []
    for name, record in records.runs.items():
        counted = Counter(change for changes in record.stale.values() for change in changes)
        for change, count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"- {cell(name)}: {plural(count, 'row')} by {cell(change)}")
    return ["", *lines] if lines else []


def verdicts(records: Records, name: str) -> str:
    """One row per contest, one column per layer: mean score, and the verdict against the baseline."""
    run = records.run(name).run
    lines = [row("contest", *run.variants), rule(len(run.variants))]
    for line in matrix(run):
        cells = [f"{number(square.score)} {square.note}".strip() for square in line.cells]
        lines.append(row(f"{line.contest.title} ({line.contest.metric.label})", *cells))
    return "\n".join(lines)


def scores(records: Records, name: str, *metrics: str) -> str:
    """One row per contest and layer, best first: mean and interval over seeds, of other test scores, too, if named.

    The name `spread` stands for the standard deviation of the score over seeds.
    """
    run = records.run(name).run
    if missing := sorted(set(metrics) - set(run.tables.scores["metric"]) - {SPREAD}):
        raise UsageError(f"run of record {name!r} holds no score {', '.join(missing)}")
    lines = [row("contest", "layer", "score", *metrics, "seeds", "failed"), rule(4 + len(metrics))]
    columns = ["contest", "variant", "score", "low", "high", "seeds", "failed"]
    titles = _titles(run)
    for place, variant, score, low, high, seeds, failed in run.leaderboard[columns].itertuples(index=False):
        contest = run.contests[int(place)]
        trials = run.trials[(run.trials["contest"] == place) & (run.trials["label"] == variant)]
        bounds = {metric.name: (metric.least, metric.most) for metric in contest.about.metrics}
        others = [
            _spread(trials["score"].dropna())
            if metric == SPREAD
            else _mean(
                by_seed(run, trials, "test", metric).dropna(), *bounds.get(metric.partition("@")[0], (None, None))
            )
            for metric in metrics
        ]
        lines.append(row(titles[int(place)], variant, with_interval(score, low, high), *others, seeds, failed))
    return "\n".join(lines)


def _titles(run: Run) -> dict[int, str]:
    """Number of a contest -> its title, with the rate that was fixed where others differ in nothing else."""
    rates: dict[tuple[str, int], set[str]] = {}
    for one in run.contests.values():
        rates.setdefault((one.title, one.steps), set()).add(_fixed(one))
    titles = {}
    for one in run.contests.values():
        rate = _fixed(one) if len(rates[one.title, one.steps]) > 1 else ""
        titles[one.number] = f"{one.title}, {one.steps:,} steps{rate} ({one.metric.label})"
    return titles


def _fixed(contest: Contest) -> str:
    """The rate that all layers had, "" where each tuned its own."""
    return f", rate {contest.learning_rate:g}" if np.isfinite(contest.learning_rate) else ""


def _mean(values: pd.Series[float], least: float | None, most: float | None) -> str:
    """The mean over seeds with its interval, held within what the metric can be."""
    return with_interval(float(values.mean()), *np.clip(mean_interval(values), least, most))


def _spread(values: pd.Series[float]) -> str:
    """The standard deviation over seeds with its interval."""
    return with_interval(float(values.std()), *deviation_interval(values))


def costs(records: Records, name: str, *variants: str) -> str:
    """One row per layer (of all, or of those named) and layout: multiples of the plain convolution of that layout."""
    table = _costs(records, name)
    if missing := sorted(set(variants) - set(table["variant"])):
        raise UsageError(f"run of record {name!r} holds no costs of {', '.join(missing)}")
    table = table[table["variant"].isin(variants)] if variants else table
    large, small = (table[table["task"] == _task(shape)] for shape in ("large", "small"))
    beside = small.set_index(["variant", "memory_format"])["ratio_forward_backward"].to_dict()
    lines = [row("layer", "fwd + bwd", "forward", "peak memory", "fwd + bwd, small"), rule(4)]
    for _, each in large[large["variant"] != "conv"].sort_values(["variant", "memory_format"]).iterrows():
        layout = " channels last" if each["memory_format"] == "channels_last" else ""
        lines.append(
            row(
                f"{each['variant']}{layout}", _times(each, "ratio_forward_backward"), _ratio(each["ratio_forward"]),
                _ratio(each["ratio_memory"]), _ratio(beside.get((each["variant"], each["memory_format"]))),
            )
        )  # fmt: skip
    return "\n".join(lines)


def cost(records: Records, name: str, variant: str, shape: str, quantity: str) -> str:
    """A single number of a run of costs."""
    if shape not in SHAPES or quantity not in QUANTITIES:
        raise UsageError(f"results: cost of {shape} {quantity}; valid: {', '.join(SHAPES)}; {', '.join(QUANTITIES)}")
    table = _costs(records, name)
    plain = table["memory_format"] == "contiguous"
    chosen = table[(table["task"] == _task(shape)) & (table["variant"] == variant) & plain]
    if len(chosen) != 1:
        raise UsageError(f"run of record {name!r} holds {len(chosen)} rows of {variant!r} at the shape {shape}")
    return _ratio(chosen[QUANTITIES[quantity]].iloc[0])


def _costs(records: Records, name: str) -> pd.DataFrame:
    table = flatten(records.run(name).run.tables.costs)
    if table.empty:
        return table
    place = ["task", "memory_format"]
    plain = table[table["variant"] == "conv"].drop_duplicates(place).set_index(place)["allocated_bytes"].to_dict()
    peaks = [plain.get((task, layout)) for task, layout in table[place].itertuples(index=False)]
    return table.assign(ratio_memory=table["allocated_bytes"].astype(float) / pd.Series(peaks, table.index, float))


def _task(shape: str) -> str:
    """The task of a shape, as a store names it."""
    return str(registry.select("task", SHAPES[shape]).selector)


def _times(each: pd.Series[float], column: str) -> str:
    """A multiple with its interval."""
    middle, low, high = (_ratio(each[f"{column}{end}"]) for end in ("", "_low", "_high"))
    return middle if MISSING in (low, high) else f"{middle} [{low}, {high}]"


def _ratio(value: object) -> str:
    amount = known(value)
    return MISSING if amount is None else f"{amount:.2f}"


def exact(records: Records) -> str:
    """One row per exact claim."""
    lines = [row("claim", "counted", "published", "verdict"), rule(3)]
    lines += [row(count.sentence, number(count.measured), count.published, count.verdict) for count in records.counts]
    return "\n".join(lines)


def submissions(records: Records) -> str:
    """The names of what others have sent."""
    return "\n".join(f"- [{cell(name)}](submissions/{name})" for name in records.submissions) or "None yet."


def claims(records: Records, family: str) -> str:
    """One row per claim of a family that seeds decide or figures show: what was measured where, and what it lacks."""
    given = [a for a in records.answers if a.claim.family == family and a.claim.kind != "exact"]
    if not given:
        raise UsageError(f"results: no family of claims is named {family!r}")
    lines = [row("claim", "kind", "published", "measured", "seeds", "run", "verdict", "remark"), rule(7)]
    for answer in given:
        finding, claim = answer.finding, answer.claim
        measured = with_interval(finding.measured, finding.low, finding.high)
        measured += finding.unit if measured != MISSING else ""
        lines.append(
            row(
                claim.sentence, claim.kind, claim.published, measured, finding.seeds or MISSING, answer.run or MISSING,
                finding.verdict, answer.remark or MISSING,
            )
        )  # fmt: skip
    return "\n".join(lines)


def claim_counts(records: Records) -> str:
    """How many claims of the papers are decided, in words."""
    return f"{counts(records.answers)}; {counts(records.answers, 'exact')}."


def families(records: Records) -> str:
    """How many direction claims of each family are decided, and how."""
    by_family: dict[str, Counter[str]] = {}
    for answer in records.answers:
        if answer.claim.kind == "direction":
            by_family.setdefault(answer.claim.family, Counter())[answer.finding.verdict] += 1
    lines = [row("family", "direction claims", *WORDS), rule(len(WORDS) + 1)]
    lines += [
        row(name, decided.total(), *(decided[verdict] for verdict in WORDS)) for name, decided in by_family.items()
    ]
    return "\n".join(lines)


def fates(records: Records, name: str) -> str:
    """What became of the GANs of a run, regime by regime."""
    return table_of_fates(records.run(name).run)


_MAKERS = (runs, state, verdicts, scores, costs, cost, exact, claims, claim_counts, families, fates, submissions)
MAKERS: Mapping[str, Callable[..., str]] = {maker.__name__: maker for maker in _MAKERS}
LIVE = ("state",)
"""What follows from the sources as they are, not from records alone, and so may be behind them."""
