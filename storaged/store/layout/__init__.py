"""The store's format: from bytes to records, from paths to meanings. No locks, no policy."""
