"""Two revisions, measured in one job: did a layer become slower, larger or less accurate?

trees      the base revision, checked out beside the work tree for as long as it is needed
sides      a process of one revision that answers requests over a pipe; what it runs is `probe`, shipped as text
selection  which layers both sides have, and which of them differ
costs      what is compared exactly: parameters, FLOPs, bytes, output
speed      pairs of processes that take turns on one core; `rule` turns their ratios into verdicts
accuracy   the trials of a preset on both sides, paired by seed
output     the findings as a table, Markdown or JSON
"""
