"""Positional regression: tell where an object is, or draw it where it should be."""
