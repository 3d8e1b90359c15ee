"""Snapshots: one consistent state of the store as immutable values and indexes, and the pure code to build them."""
