"""Machinery that tries to break the promise: no order lost, none doubled, no position without its stop."""
