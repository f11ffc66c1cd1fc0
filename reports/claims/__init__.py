"""Sentences of papers as inequalities over the tables, and what a run says to each."""
