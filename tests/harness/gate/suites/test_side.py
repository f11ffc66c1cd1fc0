"""A side of benchmarks: what pytest collects, how a benchmark is gone into, and what its failures look like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordbench.harness.gate.sides import LayerError, Side, Tree, running
from coordbench.harness.gate.suites import listing
from coordbench.harness.gate.suites.side.fixture import AlreadyUsed, Benchmark
from coordbench.harness.gate.suites.side.rounds import Call, ready, turn

BENCHMARKS = """
import pytest
import mine

calls = []

@pytest.fixture(scope="module")
def number():
    return 3

@pytest.mark.parametrize("n", [1, 2])
def test_parametrized(benchmark, n, number):
    assert benchmark(mine.double, n * number) == 2 * n * number
    benchmark.extra_info["n"] = n
    assert benchmark.stats["mean"] > 0 and benchmark.stats.stats.rounds == 2

def test_pedantic(benchmark):
    def setup():
        calls.append("setup")
        return ([4],), {}
    result = benchmark.pedantic(list.pop, setup=setup, teardown=lambda items: calls.append(items), rounds=7)
    assert result == 4
    assert calls.count("setup") == calls.count([]) > 7

@pytest.mark.benchmark
def test_marked_as_a_whole(number):
    mine.double(number)

class TestInAClass:
    def test_method(self, benchmark):
        print("what a benchmark prints is no answer")
        benchmark(mine.double, 1)

def test_skipped(benchmark):
    pytest.skip("no such machine")

def test_raises(benchmark):
    benchmark(mine.double, None)

def test_fails_afterwards(benchmark):
    assert benchmark(mine.double, 1) == 3

def test_twice(benchmark):
    benchmark(mine.double, 1)
    benchmark(mine.double, 1)

def test_without(benchmark):
    pass

def test_is_none():
    raise AssertionError("tests that are no benchmarks are not run")
"""
"""Each way in which pytest-benchmark is used."""
CONFTEST = """
def pytest_benchmark_update_machine_info(config, machine_info):
    raise AssertionError("a hook of pytest-benchmark, known and never called")
"""
FILE = "tests/bench_mine.py"


def write(folder: Path) -> None:
    """A project with `src`, options that would end or spread the tests, and benchmarks."""
    files = {
        "src/mine.py": "def double(n):\n    return 2 * n\n",
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-n 3 --benchmark-disable --no-such-option"\n',
        FILE: BENCHMARKS,
        "tests/conftest.py": CONFTEST,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    scratch = tmp_path_factory.mktemp("scratch")
    write(scratch / "project")
    tree = Tree("candidate", (scratch / "project").resolve(), scratch)
    with running(tree, deadline=120, service=listing.service(tree, [FILE])) as (one,):
        one.ask("pin", core=min(os.sched_getaffinity(0)))
        yield one


def test_benchmarks_alone_are_collected_out_of_the_tree(side: Side) -> None:
    collected = listing.Collected(**side.ask("collect"))
    assert (collected.broken, collected.strangers) == ({}, [])
    assert [label.removeprefix(f"{FILE}::") for label in collected.benchmarks] == [
        *("test_parametrized[1]", "test_parametrized[2]", "test_pedantic", "test_marked_as_a_whole"),
        *("TestInAClass::test_method", "test_skipped", "test_raises", "test_fails_afterwards", "test_twice"),
        "test_without",
    ]


@pytest.mark.parametrize(
    "name", ["test_parametrized[2]", "test_pedantic", "test_marked_as_a_whole", "TestInAClass::test_method"]
)
def test_a_benchmark_takes_turns_and_ends_well(side: Side, name: str) -> None:
    for _ in range(2):  # a second time too
        key = f"{FILE}::{name}"
        call = side.ask("prepare", key=key)
        assert 0 < call["seconds"] <= call["whole"]
        seconds = [side.turn(key, 3)[0] for _ in range(2)]
        assert min(seconds) > 0
        assert side.ask("forget", key=key) is None


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("test_skipped", "Skipped", "raised Skipped: no such machine"),
        ("test_raises", "Failed", r"TypeError: .*\(mine\.py:2\) in its call"),
        ("test_without", "Unused", "it does not call its benchmark"),
    ],
)
def test_what_cannot_be_timed_says_why(side: Side, name: str, kind: str, message: str) -> None:
    with pytest.raises(LayerError, match=message) as caught:
        side.ask("prepare", key=f"{FILE}::{name}")
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("name", "message"), [("test_fails_afterwards", "assert 2 == 3"), ("test_twice", "uses its benchmark twice")]
)
def test_what_fails_after_its_turns_says_so_at_the_end(side: Side, name: str, message: str) -> None:
    key = f"{FILE}::{name}"
    side.ask("prepare", key=key)
    side.turn(key, 1)
    with pytest.raises(LayerError, match=message):
        side.ask("forget", key=key)


def test_a_benchmark_that_is_left_in_the_middle_makes_room_for_the_next(side: Side) -> None:
    """The other side failed, say, so nobody says `forget`."""
    side.ask("prepare", key=f"{FILE}::test_pedantic")
    side.ask("prepare", key=f"{FILE}::test_marked_as_a_whole")
    assert side.ask("forget", key="") is None


def test_the_setup_is_not_timed_and_each_call_has_its_own() -> None:
    clock = iter(range(1000))
    arguments = []

    def setup() -> tuple[tuple[int], dict[str, object]]:
        arguments.append(next(clock))
        return (arguments[-1],), {}

    seen: list[int] = []
    call = Call(seen.append, setup=setup)
    turn(call, 5)
    assert seen == arguments == list(range(6))
    assert set(ready(call)) == {"seconds", "whole"}


def test_the_fixture_refuses_what_it_cannot_measure() -> None:
    benchmark = Benchmark("a.py::test", None, lambda call: [1.0, 3.0])
    assert benchmark.pedantic(max, (1, 2), {}) == 2
    assert benchmark.stats is not None
    assert (benchmark.stats["mean"], benchmark.stats.stats.max) == (2.0, 3.0)
    with pytest.raises(AlreadyUsed, match=r"a\.py::test uses its benchmark twice"):
        benchmark(max, 1, 2)
    with pytest.raises(TypeError, match="no room for args"):
        benchmark.pedantic(max, (1, 2), setup=lambda: ((1,), {}))
    with pytest.raises(NotImplementedError, match=r"benchmark\.weave is not measured"):
        benchmark.weave(max)
