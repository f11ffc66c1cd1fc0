"""Stored records become tidy tables, and tables become statistics and verdicts."""
