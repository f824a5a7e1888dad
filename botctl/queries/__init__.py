"""Read-only queries of the database."""
