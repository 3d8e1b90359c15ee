"""storaged beside what a user would pick instead, in one run: see ``__main__`` for the command."""
