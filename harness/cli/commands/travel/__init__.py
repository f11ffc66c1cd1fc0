"""The commands about records that travel: between stores, folders, documents and people."""
