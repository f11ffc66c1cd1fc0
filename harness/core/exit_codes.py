"""What a command says to its caller by its exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    REGRESSED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    NOTHING_MEASURED = 4
    TRIALS_FAILED = 5
    NOT_COMPARABLE = 6
    STORE_LOST = 7
    INTERRUPTED = 130
