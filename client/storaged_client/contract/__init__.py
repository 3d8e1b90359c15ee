"""The wire's vocabulary as pure data: what both ends of the socket agree on.

``version`` and ``errors`` import nothing outside the standard library, so that a light client can
load them; ``types`` and ``params`` need attrs, ``methods`` needs both, ``wire`` needs cattrs.
"""
