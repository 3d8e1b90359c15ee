"""The client of storaged. Importing it loads nothing but the standard library."""
