"""What the database tells, read only."""
