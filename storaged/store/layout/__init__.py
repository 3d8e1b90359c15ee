"""The store's format: bytes to records and paths to meanings. No locks, no policy."""
