"""All runs of a store on one page."""
