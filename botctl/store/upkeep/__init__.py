"""Keeps the database in order: daily copies, checks of its values and of the file, old rows taken out."""
