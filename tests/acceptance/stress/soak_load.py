"""Clients of every kind at once, at a pace: readers of all kinds, and one that tags, lists, leases, prunes and removes.

Any error that is not one of those a store has that others write to is a problem.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.client import Client, RpcError

DOCUMENTED = frozenset(
    {
        "StoreBusy",
        "ImageUnknown",
        "LayerUnknown",
        "ManifestListUnknown",
        "NotAManifestList",
        "TagUnknown",
        "GenerationGone",
        "LeaseUnknown",
        "ImageInUse",
        "Leased",
        "PlanStale",
        "ImageDamaged",
    }
)
"""What an image makes of a request that somebody else has just removed, named, locked or not yet finished."""
_NAMES = 15
_RECONNECT = 50
"""Requests after which a client comes anew."""


class Asking(threading.Thread):
    """One client that asks until it is told to stop, a pause after each answer."""

    def __init__(self, path: str, random: Random, *, pause: float) -> None:
        super().__init__(daemon=True)
        self.answers: Counter[str] = Counter()
        self.problems: list[str] = []
        self._path = path
        self._random = random
        self._pause = pause
        self._ended = threading.Event()
        self._client = Client(path)

    def run(self) -> None:
        try:
            number = 0
            while not self._ended.wait(self._random.uniform(0, 2 * self._pause)):
                number += 1
                if number % _RECONNECT == 0:
                    self._client.close()
                    self._client = Client(self._path)
                try:
                    self.ask(number)
                except RpcError as error:
                    self.answers[error.name] += 1
                    if error.name not in DOCUMENTED:
                        self.problems = [*self.problems[-9:], str(error)[:300]]
        except Exception as error:
            self.problems.append(repr(error))
        finally:
            self._client.close()

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def ask(self, number: int) -> None:
        """Raises: RpcError."""
        raise NotImplementedError

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        answer = self._client.call(method, **params)
        self.answers[method] += 1
        return answer


class Reader(Asking):
    """Reads of all kinds, of whatever is there at the moment."""

    def ask(self, number: int) -> None:
        random = self._random
        common = {"consistency": random.choice(("fresh", "fresh", "cached", "strict")), "timeout": 5.0}
        images = self.call("images.list", all=random.random() < 0.5, **common)["images"]
        if not images:
            return
        image = random.choice(images)
        lists = [each["id"] for each in images if each["manifest_list"]]
        name = {"name": random.choice((image["id"], *image["names"])), "manifest": image["manifest_list"]}
        kinds: tuple[Callable[[], object], ...] = (
            lambda: self.call("images.get", names=[image["id"]]),
            lambda: self.call("images.why", **name),
            lambda: self.call("images.exists", **name),
            lambda: self.call("images.resolve", **name),
            lambda: self.call("images.relations", **name),
            lambda: self.call("images.tree", name=image["id"]),
            lambda: self.call("images.history", name=image["id"]),
            lambda: self.call(
                "images.list", filters=[random.choice(("dangling=true", "until=1h", "reference=*soak*"))]
            ),
            lambda: self.call("images.list", cursor=self.call("images.list", limit=1)["next_cursor"] or "", limit=2),
            lambda: self.call("layers.list"),
            lambda: self.call("layers.tree"),
            lambda: self.call("manifests.list", include=["instances", "annotations"]),
            lambda: self.call("manifests.get", name=random.choice(lists)) if lists else None,
            lambda: self.call("manifests.referenced"),
            lambda: self.call("containers.list"),
            lambda: self.call("store.usage"),
            lambda: self.call("store.check", scope="records"),
            lambda: self.call("server.info"),
            lambda: self.call("server.stats"),
        )
        random.choice(kinds)()


class Changer(Asking):
    """Makes, names, lists, leases, prunes and removes; what it makes goes again."""

    def ask(self, number: int) -> None:
        random, slot = self._random, number % _NAMES
        image = self._own(slot)
        kind = random.randrange(7)
        if kind == 0:
            self.call("images.tag", name=image, tags=[f"localhost/ours:{slot}", f"localhost/also:{slot}"])
        elif kind == 1:
            self.call("images.untag", name=image, tags=[f"localhost/own:{slot}"])
        elif kind == 2:
            self._list(image, slot)
        elif kind == 3:
            self._lease(image)
        elif kind == 4:
            plan = self.call("images.prune", dry_run=True)["plan"]
            self.call("images.prune", plan=plan)
        elif kind == 5:
            self.call("images.prune", filters=["label=soak=own"])
        else:
            self.call("images.remove", names=[image], force=True)

    def _own(self, slot: int) -> str:
        """The same image each time, so that only so many ids ever were."""
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"soak": "own", "slot": str(slot)}},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [{"created_by": "LABEL", "empty_layer": True}],
        }
        (made,) = self.call("images.create", config=config, names=[f"localhost/own:{slot}"])["ids"]
        return str(made)

    def _list(self, image: str, slot: int) -> None:
        name = f"localhost/our-list:{slot % 3}"
        made = self.call("manifests.create", name=name, images=[image], amend=True)["id"]
        for entry in self.call("manifests.get", name=made)["manifest"]["instances"][:1]:
            self.call("manifests.annotate", name=made, digest=entry["digest"], annotations={"slot": str(slot)})
        self.call("manifests.remove", names=[made])

    def _lease(self, image: str) -> None:
        lease = self.call("store.lease", images=[image], ttl=60.0)["lease"]
        try:
            self.call("images.remove", names=[image], force=True)
        finally:
            self.call("store.release", lease=lease)
