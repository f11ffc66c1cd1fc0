"""Tables as LaTeX: the columns that a paper prints, every sign that means something to LaTeX escaped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from coordbench.reports import text

PRINTED: Mapping[str, Mapping[str, str]] = {
    "leaderboard": {
        "full_task": "task", "full_backbone": "network", "variant": "layer", "metric": "metric", "score": "mean",
        "95 %": "95 %", "seeds": "seeds", "parameters": "parameters", "latency_step_seconds": "step",
    },
    "verdicts": {
        "contest": "contest", "variant": "layer", "mean": "difference", "95 %": "95 %", "pairs": "pairs", "p": "p",
        "verdict": "verdict",
    },
    "aggregate": {
        "variant": "layer", "iqm": "IQM", "95 %": "95 %", "improvement": "P(better)", "contests": "contests",
    },
    "references": {"full_task": "task", "reference": "reference", "kind": "kind", "metric": "metric", "score": "mean"},
    "costs": {
        "task": "task", "backbone": "network", "variant": "layer", "parameters": "parameters", "flops": "FLOPs",
        "ratio_forward": "forward", "ratio_step": "step", "peak_memory_bytes": "peak memory",
    },
    "probes": {
        "variant": "layer", "shift_1": "shift 1 px", "with_borders": "with borders", "position_readout": "position R2",
        "unseen_size": "unseen size",
    },
    "claims": {"sentence": "claim", "inequality": "inequality", "measured": "measured", "95 %": "95 %",
               "verdict": "verdict", "published": "published"},
}  # fmt: skip
"""Table -> column -> its title in print; other tables are printed whole."""


def latex(frame: pd.DataFrame, title: str = "") -> str:
    """A table as a LaTeX tabular for the package booktabs."""
    chosen = _printed(frame, title)
    numeric = [name for name in chosen if pd.api.types.is_numeric_dtype(frame.get(name, pd.Series(dtype=object)))]
    words = pd.DataFrame({name: [_write(str(name), value) for value in chosen[name]] for name in chosen}, dtype=object)
    titles = PRINTED.get(title, {})
    style = words.rename(columns=dict(titles)).style.hide(axis="index").format(escape="latex")
    style = style.format_index(escape="latex", axis=1)
    layout = "".join("r" if name in numeric or name == "95 %" else "l" for name in chosen)
    return str(style.to_latex(hrules=True, column_format=layout))


def _printed(frame: pd.DataFrame, title: str) -> pd.DataFrame:
    """The columns to print; an interval is one of them, the columns that are the same everywhere are none."""
    if {"low", "high"} <= set(frame.columns):
        ends = zip(frame["low"], frame["high"], strict=True)
        frame = frame.assign(**{"95 %": pd.Series([text.interval(*pair) for pair in ends], frame.index, dtype=object)})
    names = [name for name in PRINTED.get(title, frame.columns) if name in frame.columns]
    return frame[names]


def _write(name: str, value: object) -> str:
    if name in ("parameters", "flops"):
        return text.big(value)
    if name.endswith(("_seconds", "_bytes")):
        return text.cost_reader(name)(value)
    if isinstance(value, float | np.floating):
        return text.number(value)
    return "" if value is None or value is pd.NA else " ".join(str(value).split())
