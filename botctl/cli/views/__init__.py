"""A result becomes a table, or a few lines of text, within 80 columns."""
