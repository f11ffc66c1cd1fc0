"""Names that a plug-in chose badly: shown as they are wherever they can be read in one line, refused where not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from coordbench.harness.cli import main as cli
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate import output
from coordbench.harness.gate.pull.markdown import markdown
from coordbench.harness.gate.rows import GateRow, Report
from coordbench.harness.store.store import open_store
from coordbench.reports.files.exports import export_report

EVIL = "</script><evil onload=go>|$\\frac{`[x](y)&lt;'\""
SUITE = f"../../{EVIL}"
HOSTILE = f'''
from dataclasses import replace

from coordbench.harness.core.registry import variant

EVIL = {EVIL!r}

@task("evil_task", suite="../../" + EVIL, metrics=(Metric(EVIL, EVIL, "lower"), Metric("b" + EVIL)),
      backbones=("toy_net",), splits=("validation", "test", EVIL), source=EVIL)
def evil_task(network, seed, *, text: str = "", lines: bool = False, bound: float = float("inf")):
    """A task of <evil> names."""
    problem = toy(network, seed)
    name = EVIL + ("\\n" if lines else "")
    evaluate = lambda models, split: {{name: problem.evaluate(models, split)["mse"], "b" + EVIL: 0.5}}
    samples = lambda models: [replace(s, group=EVIL, role=EVIL) for s in problem.samples(models)]
    phases = tuple(replace(phase, name=EVIL) for phase in problem.phases)
    return replace(problem, phases=phases, evaluate=evaluate, samples=samples)


@variant("evil_conv", source=EVIL)
class Evil(nn.Conv1d):
    """Convolve, <evil>."""
    def __init__(self, i, o, k, *, size, stride=1, bias=True, text: str = ""):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)
'''
PRESET = """
[run]
seeds = 2
[[sweep]]
tasks = ["evil_task[text=<evil>|]"]
backbones = ["toy_net"]
variants = ["conv", "evil_conv[text=../<evil onload=go>|$_$]"]
steps = 3
costs = false
"""


class Elements(HTMLParser):
    """Collects the elements of a page and the text outside of scripts."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def plugin(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    path = toy.with_name(f"hostile_{tmp_path.name}.py")
    path.write_text(toy.read_text() + HOSTILE)
    return path


@pytest.mark.slow
def test_hostile_names_are_run_reported_and_exported(plugin: Path, tmp_path: Path) -> None:
    """One of two contests has a score of a name of two lines, which is an error with its reason."""
    odd = PRESET.replace("text=<evil>|", "lines=true").partition("[[sweep]]")[2]
    (tmp_path / "a#b?.toml").write_text(f"{PRESET}[[sweep]]{odd}")
    assert cli.run(["run", "a#b?.toml", "--out", "o#u?t%20", "--plugin", str(plugin)]) == ExitCode.TRIALS_FAILED
    out = tmp_path / "o#u?t%20"
    for form in ("csv", "parquet", "json"):
        assert cli.run(["export", "--format", form, "--out", str(out)]) == ExitCode.OK
    assert cli.run(["history", EVIL, "--out", str(out)]) == ExitCode.OK
    trials = pd.read_parquet(next(out.rglob("trials.parquet")))
    assert trials.groupby("status").size().to_dict() == {"error": 4, "ok": 4}
    assert trials.loc[trials["status"] == "error", "error"].str.contains("the task named a score '</script><evil").all()
    assert set(trials["metric"].dropna()) == {EVIL}
    assert set(trials["suite"]) == {SUITE}
    pages = [Elements(page) for page in out.rglob("*.html")]
    assert len(pages) == 3
    assert not {"evil"} & {tag for page in pages for tag in page.tags}
    assert not [handler for page in pages for handler in page.handlers]
    assert any(EVIL in page.text for page in pages)
    _check_files(out, tmp_path / "files")
    assert not list(tmp_path.parent.glob("*evil*"))


def _check_files(out: Path, folder: Path) -> None:
    with open_store(None, out) as store:
        paths = export_report(store, store.resolve_run(None), folder)
    assert {path.suffix for path in paths} == {".md", ".csv", ".parquet", ".tex", ".png", ".svg"}
    assert {path.parent for path in paths} == {folder}
    tokens = MarkdownIt("commonmark").enable("table").parse((folder / "summary.md").read_text())
    assert not _kinds(tokens) & {"html_block", "html_inline", "link_open", "image"}


def test_hostile_names_are_text_in_the_markdown_of_a_gate() -> None:
    row = GateRow(EVIL, "accuracy", EVIL, "regressed", 1.0, 2.0, 1.0, unit=EVIL, note=f"two\nlines {EVIL}", why=(EVIL,))
    text = markdown(Report(EVIL, f"a\n# title\n{EVIL}", [row], [EVIL, "![x](y)\n\n<evil>"]))
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert _kinds(tokens) & {"html_block", "html_inline", "link_open", "image", "code_inline", "em_open"} == set()
    assert _kinds(tokens) >= {"table_open", "text"}
    assert sum(token.type == "heading_open" for token in tokens) == 1
    cells = sum(token.type == "td_open" for token in tokens)
    assert cells == len(output.COLUMNS)


def _kinds(tokens: Sequence[Token]) -> set[str]:
    return {inner.type for token in tokens for inner in (token, *(token.children or ()))}


TASK = (
    "from coordbench import task, Metric\n"
    "@task({name!r}, suite={suite!r}, metrics={metrics}, backbones=('toy_net',), splits={splits!r})\n"
    "def a_task(network, seed): ...\n"
)
LINES = ["", " ", "two\nlines", "\u202eturned", "\u200f", "tab\t", "nul\0", "\ud800", "x" * 101, " edge "]


@pytest.mark.parametrize("text", LINES)
@pytest.mark.parametrize("where", ["metric", "unit", "suite", "split"])
def test_a_name_that_is_no_line_is_refused_in_one(where: str, text: str, tmp_path: Path) -> None:
    if where == "unit" and not text:
        return
    metric = f"(Metric({(text if where == 'metric' else 'm')!r}, {(text if where == 'unit' else '')!r}),)"
    splits = ("validation", "test", text) if where == "split" else ("validation", "test")
    suite = text if where == "suite" else "s"
    _refused(TASK.format(name="t", suite=suite, metrics=metric, splits=splits), f"{where} .*is not valid", tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (TASK.format(name="x" * 101, suite="s", metrics="(Metric('m'),)", splits=("validation", "test")), "task 'xx"),
        (TASK.format(name="t", suite="s", metrics="(Metric('m'), Metric('m'))", splits=("validation", "test")), "once"),
        (TASK.format(name="t", suite="s", metrics="(Metric('m'),)", splits=("test",)), "splits="),
        (TASK.format(name="t", suite="s", metrics="(Metric('m'),)", splits=("validation", "test", "half")), "'half'"),
        (TASK.format(name="t", suite="s", metrics="(Metric('m'),)", splits="test"), "splits='test'"),
        ("from coordbench import variant\nvariant('../up', source='')", "variant '../up' cannot be named so"),
        ("from coordbench import variant\nvariant('', source='')", "variant '' cannot be named so"),
        ("from coordbench import variant\nvariant('a|b', source='')", "cannot be named so"),
    ],
)
def test_what_no_table_could_hold_is_refused_in_one_line(source: str, message: str, tmp_path: Path) -> None:
    _refused(source, re.escape(message), tmp_path)


def _refused(source: str, message: str, folder: Path) -> None:
    file = folder / "hostile.py"
    file.write_text(source)
    with pytest.raises(UsageError, match=message) as caught:
        registry.load_plugin(file)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "9" * 5000])
def test_options_that_are_no_finite_number_are_refused(
    value: str, toy: Path, preset: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(preset(["conv"]))
    path.write_text(path.read_text().replace('["toy"]', f'["toy[noise={value}]"]'))
    assert cli.run(["run", str(path), "--plugin", str(toy), "--dry-run"]) == ExitCode.USAGE
    errors = capsys.readouterr().err
    assert "noise=" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("value", ["a\\nb", "\\u202eb", "x" * 501])
def test_an_option_that_is_no_line_is_refused(
    value: str, toy: Path, preset: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(preset([f"coordconv[radius={value}]"]))
    assert cli.run(["run", str(path), "--plugin", str(toy), "--dry-run"]) == ExitCode.USAGE
    errors = capsys.readouterr().err
    assert "printable characters in one line" in errors
    assert errors.count("\n") == 1
