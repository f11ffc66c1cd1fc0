"""How an exception becomes a status and a reason."""

from __future__ import annotations

from coordbench.harness.process.child import explain


def _handled(first: Exception, then: Exception) -> BaseException:
    """The exception that is raised while another one is handled."""
    then.__context__ = first
    return then


def test_memory_that_ran_out_is_named_also_where_its_handling_failed() -> None:
    failed = _handled(MemoryError(), ImportError("cannot import a module"))
    assert explain(failed)[0] == "out_of_memory"
    assert explain(_handled(ValueError("DefaultCPUAllocator: no"), OSError("x")))[0] == "out_of_memory"
    status, reason = explain(_handled(ValueError("a"), OSError("b")))
    assert (status, reason.partition(" (")[0]) == ("error", "OSError: b")
