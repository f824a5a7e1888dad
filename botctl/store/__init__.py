"""All that botctl knows between two runs: one SQLite database."""
