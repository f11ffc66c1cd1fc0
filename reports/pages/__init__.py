"""Pages and files: a run, two runs, all runs, a gate, the course of a metric."""
