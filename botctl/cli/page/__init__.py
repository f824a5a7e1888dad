"""The page of the account: its content, and the process that writes it."""
