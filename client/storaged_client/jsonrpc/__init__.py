"""JSON-RPC 2.0 without I/O: bytes in, events out; values in, bytes out.

No socket, no event loop, no clock, and only the standard library. So the daemon, the blocking client and the async
client are thin shells around the same :class:`~storaged_client.jsonrpc.peer.Peer`.
"""
