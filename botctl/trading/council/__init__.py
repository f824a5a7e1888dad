"""The Council: agents, or an external command, that decide what to buy and sell."""
