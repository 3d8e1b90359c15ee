"""Where the store is that podman would open: storage.conf and what overrides it, by upstream's rules.

Shared by the clients, which say by it which store they mean, and the daemon, which serves it. Standard library only,
and of that as little as goes: a command asks this each time it starts.
"""

from __future__ import annotations
