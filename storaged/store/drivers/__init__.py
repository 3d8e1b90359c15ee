"""Storage drivers: the contents of layers on disk."""
