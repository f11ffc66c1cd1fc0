"""What `coordbench check` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coordbench.harness.laws import LawResult


def checked(name: str, results: Sequence[LawResult]) -> Iterator[str]:
    """One line for each law: what it means, and where it is broken how to mend it; then a summary."""
    for result in results:
        meaning = result.meaning.rstrip(".")
        line = meaning if result.passed else f"{meaning}: {result.detail}. To mend it: {result.mend}"
        yield f"{'holds' if result.passed else 'FAILS'}  {result.law:<18} {line}"
    broken = [result.law for result in results if not result.passed]
    rest = ", the others were not tried" if broken == ["builds"] else ""
    yield f"{name}: {len(results) - len(broken)} of {len(results)} laws hold" + rest
