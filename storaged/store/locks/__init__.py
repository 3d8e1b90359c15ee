"""The store's locks: OFD record locks, their holders, tokens and order; and the daemon's instance lock."""
