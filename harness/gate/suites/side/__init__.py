"""What runs on each side of a project's own benchmarks, shipped to both; no torch, and no package but pytest.

server    pytest on a project's files, which collects, then waits for requests
plugin    collects benchmarks, and runs the one that is asked for
fixture   `benchmark`, as pytest-benchmark has it, which hands over to `rounds`
rounds    the turns by which a benchmark is timed
"""
