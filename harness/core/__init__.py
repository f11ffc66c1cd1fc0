"""The nouns: selectors, cells, trials, problems, records, metrics, errors, and the registry of names."""
