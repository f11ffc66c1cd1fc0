"""What runs on each side, shipped to both as it is (see `shipping`): a base revision needs no gate of its own.

server     answers requests, one JSON object per line
tree       the layers and trials of the tree that the side stands in: all that is used of that tree's own harness
bench      the facts of a layer, and the turns by which it is timed
messages   what both ends of the pipe know

Imports within this folder and of `shipping.FILES` are relative, so that they hold under either name of the package;
`coordbench` is what the side's own tree says it is.
"""
