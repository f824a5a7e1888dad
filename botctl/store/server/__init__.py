"""A PostgreSQL server instead of a file."""
