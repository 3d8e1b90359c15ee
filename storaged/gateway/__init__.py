"""podman's and Docker's REST API on a socket of its own, answered from the same store as JSON-RPC."""
