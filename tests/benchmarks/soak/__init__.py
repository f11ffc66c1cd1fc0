"""A run under fire: its processes are killed and frozen, and its store restarted, until every trial has its record."""
