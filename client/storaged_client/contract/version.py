"""The version of this distribution and of the protocol it speaks."""

VERSION = "0.2.0"

PROTOCOL = "1.1"
"""``major.minor``: a minor step only adds; a client ignores members of a result it does not know."""
