"""Measures botctl against its peers and against its own limit, and prints ratios within one run."""
