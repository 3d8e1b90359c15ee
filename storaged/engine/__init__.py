"""The only mutable state: the current snapshot and what is kept beside it. anyio lives here and in ``server``."""
