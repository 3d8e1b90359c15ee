"""The contents of layers on disk, as the storage drivers keep them."""
