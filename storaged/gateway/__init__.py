"""podman's and Docker's REST API over a socket of its own, answered from the same store as JSON-RPC."""
