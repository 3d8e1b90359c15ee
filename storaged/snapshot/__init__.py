"""One consistent state of the store, immutable: values, indexes, and the pure code that builds them."""
