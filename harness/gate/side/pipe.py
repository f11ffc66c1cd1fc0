"""The pipe to the driver, as a side's process has it: one JSON object per line either way."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

Request = tuple[str, dict[str, object]]
"""What the driver asks for, and its arguments."""


@dataclass(frozen=True)
class Pipe:
    """Both ends of a side: requests to read and answers to write."""

    requests: TextIO
    answers: TextIO

    def receive(self) -> Request | None:
        """The next request; None when the driver has closed the pipe."""
        line = self.requests.readline()
        if not line:
            return None
        arguments: dict[str, object] = json.loads(line)
        return str(arguments.pop("do")), arguments

    def send(self, answer: object) -> None:
        """Write an answer."""
        self.answers.write(json.dumps(answer, default=plain) + "\n")


@contextlib.contextmanager
def opened() -> Iterator[Pipe]:
    """Take over standard input and output; what others print from now on goes to standard error."""
    with os.fdopen(os.dup(0)) as requests, os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        yield Pipe(requests, answers)


def plain(value: object) -> object:
    """What JSON has no word for, as plain values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
