"""Build and train: the only room where a variant meets a task."""
