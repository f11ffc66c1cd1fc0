"""One small pure function per statistic, over plain arrays."""
