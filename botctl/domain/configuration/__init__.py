"""Settings: what each is, how it is read, and what is wrong with it."""
