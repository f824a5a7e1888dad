"""Words in, words out."""

import gc

gc.set_threshold(50_000, 20, 20)
"""What loads at a start is no garbage, and looking for some takes a twentieth of it."""
