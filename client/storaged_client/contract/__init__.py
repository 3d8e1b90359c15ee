"""The protocol's vocabulary as pure data: what both ends of the socket share.

``version`` and ``errors`` import only the standard library, so that a light client can load them; ``types`` and
``params`` need attrs, ``methods`` needs both, ``wire`` needs cattrs.
"""
