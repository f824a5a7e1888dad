"""The money path: from the prices of a tick to the orders it sends."""
