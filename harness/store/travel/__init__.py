"""Records that travel: from store to store, and as folders of Parquet files."""
