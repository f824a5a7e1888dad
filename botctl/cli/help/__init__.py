"""How the command line explains itself: help pages, the glossary, usage errors and completion."""
