"""The money path: from the prices of a tick to the orders it sends.

Nothing is believed on one word. Absence is not evidence: what our own settled orders say we hold is the expectation,
and an answer that contradicts it is an error, never a verdict. A figure that moves money is checked against an
independent one, and looked at again when it fails. Nothing is closed without an order unless something positive says
so. What cannot be settled stays open, guarded, and is an alarm with an exit code other than 0.
"""
