"""JSON-RPC 2.0 as a machine: bytes in, events out; values in, bytes out.

No socket, no loop, no clock and nothing outside the standard library, so that the daemon, the blocking
client and the async client are thin shells around the same :class:`~storaged_client.jsonrpc.peer.Peer`.
"""
