"""One small pure function per statistic."""
