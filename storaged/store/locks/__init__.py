"""The store's locks: OFD record locks, their holders, their tokens, their order; and the daemon's own guard."""
