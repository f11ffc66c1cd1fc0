"""Records in tables: SQLite by default, PostgreSQL by URL."""
