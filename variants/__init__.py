"""Layers that stand where a convolution would stand, one family per file."""
