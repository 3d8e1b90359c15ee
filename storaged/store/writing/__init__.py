"""Changing the store: one transaction at a time, each complete or not at all."""
