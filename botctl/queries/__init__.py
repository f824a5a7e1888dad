"""What the database answers: read only."""
