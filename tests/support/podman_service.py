"""podman 5.8's own resident service on a store."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .peers import Store, ToolError
from .rest import RestClient


class Service:
    """A connection to ``podman system service``, kept open between requests."""

    def __init__(self, path: Path) -> None:
        self.rest = RestClient(path)

    @property
    def elapsed(self) -> float:
        """Seconds of the last request, from its first byte sent to the last byte received."""
        return self.rest.elapsed

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET.

        Raises:
            ToolError: a status other than 200.
        """
        return self._request("GET", path, query, None)

    def change(self, method: str, path: str, *, body: Any = None, **query: Any) -> Any:
        """The JSON that a request for a change is answered with, None if nothing.

        Raises:
            ToolError: a status that means an error.
        """
        return self._request(method, path, query, body)

    def _request(self, method: str, path: str, query: dict[str, Any], body: Any) -> Any:
        target = f"/v5.0.0/libpod{path}?{urlencode(query, doseq=True)}"
        data = None if body is None else json.dumps(body).encode()
        reply = self.rest.ask(method, target, data, Content_Type="application/json")
        if reply.status != 200 if method == "GET" else reply.status >= 300:
            raise ToolError(f"{method} {target}: {reply.status} {reply.body[:500]!r}")
        return reply.json if reply.body.strip() else None

    def images(self, *, everything: bool = False, dangling: bool = False) -> list[dict[str, Any]]:
        """``images/json``, with intermediate images or dangling ones only."""
        query: dict[str, Any] = {"all": "true"} if everything else {}
        if dangling:
            query["filters"] = json.dumps({"dangling": ["true"]})
        return list(self.get("/images/json", **query) or [])

    def close(self) -> None:
        self.rest.close()


_ONE_KIND_OF_CGROUPS = 'while umount /sys/fs/cgroup/unified 2>/dev/null; do :; done; exec "$@"'
"""crun refuses a machine with both kinds; in a mount namespace of its own it need not see one."""
_CONTAINERS_CONF = """
[containers]
netns = "none"
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
"""


@contextmanager
def service(store: Store, *, containers: bool = False) -> Iterator[Service]:
    """Run the service of the store's peer at ``store.work/service`` while the block lasts.

    ``containers``: it can run some, also where this machine itself is a container: without network and cgroups.

    Raises:
        ToolError: it did not answer within twenty seconds.
    """
    path, log = store.work / "service", store.work / "service.log"
    path.unlink(missing_ok=True)
    within: tuple[str, ...] = ()
    if containers:
        within = ("unshare", "-m", "sh", "-c", _ONE_KIND_OF_CGROUPS, "sh")
        settings = store.work / "containers.conf"
        settings.write_text(settings.read_text().partition("[containers]")[0] + _CONTAINERS_CONF)
    process = store.start("podman", "system", "service", "--time=0", f"unix://{path}", log=log, within=within)
    client = Service(path)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                client.rest.get("/_ping")
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ToolError(f"no podman service: {log.read_text()[-1000:]}") from error
                client.close()
                time.sleep(0.02)
        yield client
    finally:
        client.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
