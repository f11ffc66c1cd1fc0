"""A stored run and its tables: what every page, figure and file is drawn from."""
