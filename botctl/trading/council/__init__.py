"""The only room with opinions."""
