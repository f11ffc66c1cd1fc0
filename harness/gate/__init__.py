"""Two revisions, measured in one job: did a layer become slower, larger or less accurate?

trees      the base revision, checked out beside the work tree for as long as it is needed
sides      a process of one revision that answers requests over a pipe; what it runs is `side`, shipped by `shipping`
selection  which layers both sides have, and which of them differ
costs      what is compared exactly: parameters, FLOPs, bytes, output
pairs      pairs of processes that take turns on one core
speed      `rule` turns their ratios into outcomes
trials     the trials of a preset on both sides
accuracy   their scores, paired by seed
rows       what all of these give, and the exit code; `output` shows it as text, Markdown or JSON
accepted   which regressions the team has accepted
pipeline   the course of it all
"""
