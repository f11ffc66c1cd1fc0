"""Build and train: the only room where a variant meets a task."""

PRELOAD = ("coordbench.harness.training.preload",)
"""What a fresh process that trains or measures finds imported."""
