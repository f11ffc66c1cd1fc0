"""A process of each side for whatever is exact: both are asked at the same time, and replaced where one has died."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from coordbench.harness.gate.sides import LayerDied, LayerError, Side, SideError, Tree, end

T = TypeVar("T")


@dataclass
class Both:
    """The trees of both sides, base first, and the processes that live now; use `asked` to have them ended."""

    trees: tuple[Tree, Tree]
    deadline: float
    sides: dict[str, Side] = field(default_factory=dict)

    def ask(self, question: Callable[[Side], T]) -> list[T | SideError]:
        """The answers of both sides, base first; that a side failed is an answer, too."""
        for tree in self.trees:  # by this thread: a process ends with the thread that has started it
            if tree.name not in self.sides:
                self.sides[tree.name] = Side(tree, self.deadline)
        sides = [self.sides[tree.name] for tree in self.trees]
        pool = ThreadPoolExecutor(len(sides))
        try:
            answers = list(pool.map(lambda side: _answer(side, question), sides))
        except BaseException:
            for side in sides:  # else the threads would wait for answers that nobody wants
                end(side.process)
            raise
        finally:
            pool.shutdown()
        for side, answer in zip(sides, answers, strict=True):
            if isinstance(answer, SideError) and not isinstance(answer, LayerError | LayerDied):
                self.sides.pop(side.tree.name).close()
        return answers

    def demand(self, question: Callable[[Side], T]) -> list[T]:
        """The answers of both sides; raise SideError where one has none, that of the base first."""
        answers = []
        for answer in self.ask(question):
            if isinstance(answer, SideError):
                raise answer
            answers.append(answer)
        return answers

    def close(self) -> None:
        """End both processes."""
        while self.sides:
            self.sides.popitem()[1].close()


def _answer(side: Side, question: Callable[[Side], T]) -> T | SideError:
    try:
        return question(side)
    except SideError as error:
        return error


@contextmanager
def asked(base: Tree, candidate: Tree, deadline: float) -> Iterator[Both]:
    """Both sides, to be asked; their processes are ended at the end."""
    both = Both((base, candidate), deadline)
    try:
        yield both
    finally:
        both.close()
