"""Rows that are trained again: what was stored, what comes out now, and how far it may differ."""
