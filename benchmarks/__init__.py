"""Benchmarks of botctl against other tools and a hand-written limit."""
