"""A project's own benchmarks, written for pytest-benchmark, on both sides of a gate.

listing   which benchmarks both sides have
work      how a pair of processes times them, for `pairs`
stage     rows of those that are timed, and of those that cannot be
side      what runs in the processes
"""
