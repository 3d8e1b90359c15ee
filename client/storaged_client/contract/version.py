"""The version of this distribution and of its protocol."""

VERSION = "0.2.0"

PROTOCOL = "1.1"
"""``major.minor``: a minor step only adds; a client ignores members of a result that it does not know."""
