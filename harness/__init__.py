"""Benchmark and profile convolution layers that know where they are."""
