"""What an account holds and is worth, and what it has made of its money."""
