"""The stages of a gate: exact costs, speed, accuracy."""
