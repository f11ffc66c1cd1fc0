"""Which commit made a row slower?

posterior  what the ratios of pairs say of each commit, and which commit to measure next
subject    the row that is followed: a layer in a phase, or a benchmark
commits    the commits between two revisions, and their trees
result     what a search ends with
course     measure, update, until one commit is to blame; then the gate's rule between it and its parent
"""
