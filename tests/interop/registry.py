"""A registry that only serves, on this machine's loopback: for images that only a pull makes as they are."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .odd_images import Blobs, digest_of


@contextmanager
def registry(blobs: Blobs, manifests: dict[str, tuple[str, bytes]], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve while the block lasts; its host and port. ``manifests``: media type and bytes by tag; by digest, too."""
    known = {**manifests, **{digest_of(body): (kind, body) for kind, body in manifests.values()}}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            last = self.path.rpartition("/")[2]
            kind, content = "application/octet-stream", blobs.get(last)
            if "/manifests/" in self.path:
                kind, content = known.get(last, (kind, None))
            elif self.path.rstrip("/") == "/v2":
                kind, content = "application/json", b"{}"
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            if content is not None:
                self.send_header("Docker-Content-Digest", digest_of(content))
            self.end_headers()
            if body and content is not None:
                self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
