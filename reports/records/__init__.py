"""Runs of record: what documents say was measured, written from the folders that hold it."""
