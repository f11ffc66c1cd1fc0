"""Generators: do they start to learn, do they collapse, and how varied is what they paint."""
