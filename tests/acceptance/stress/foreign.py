"""Other tools at work on the store without end, which leave it no larger than they found it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Protocol

from storaged.sample import SampleWriter
from tests.support.peers import Store, ToolError
from tests.support.podman_service import Service

_IMAGES = 6
"""Of its own that a tool keeps."""
_NAMES = 20
"""Names are given again and again: an image keeps the history of all it ever had."""


class Tool(Protocol):
    """One thing done to the store by somebody else."""

    def step(self, number: int) -> None:
        """Raises: ToolError, where the store has changed under its hands."""


class RealTools:
    """podman, by its own resident service; buildah and podman by their commands."""

    def __init__(self, store: Store, service: Service, random: Random) -> None:
        self._store = store
        self._service = service
        self._random = random
        self._images: deque[str] = deque()

    def step(self, number: int) -> None:
        kinds: tuple[Callable[[int], None], ...] = (self._build, *(self._tag,) * 4, self._untag, self._list, self._drop)
        if len(self._images) < 2:
            self._build(number)
        else:
            kinds[number % len(kinds)](number)

    def _build(self, number: int) -> None:
        # With a name, or the daemon's clients prune it.
        content, tag = f"soak {number} {self._random.random()}", f"localhost/built:{number % _NAMES}"
        make = self._store.buildah_image if number % 2 else self._store.build
        self._images.append(make(content, tag=tag))
        if len(self._images) > _IMAGES:
            self._service.change("DELETE", f"/images/{self._images.popleft()}", force="true")

    def _tag(self, number: int) -> None:
        image = self._random.choice(self._images)
        self._service.change("POST", f"/images/{image}/tag", repo="localhost/soak", tag=str(number % _NAMES))

    def _untag(self, number: int) -> None:
        """What becomes of it then is the affair of those who prune."""
        self._service.change("POST", f"/images/{self._images.popleft()}/untag")

    def _list(self, number: int) -> None:
        name = "localhost%2Fsoak-list:1"
        with suppress(ToolError):
            self._service.change("DELETE", f"/manifests/{name}")
        made = self._service.change("POST", f"/manifests/{name}", images=[])["Id"]
        body = {"operation": "update", "images": [f"containers-storage:{self._random.choice(self._images)}"]}
        self._service.change("PUT", f"/manifests/{made}", body=body)

    def _drop(self, number: int) -> None:
        self._service.change("DELETE", f"/images/{self._images.popleft()}", force="true")


class SampleTool:
    """Where no real tool is: our own foreign writer, by the rules of the store's locks."""

    def __init__(self, writer: SampleWriter, random: Random) -> None:
        self._writer = writer
        self._random = random
        self._images: list[str] = []
        self._lists: deque[str] = deque()

    def step(self, number: int) -> None:
        try:
            if len(self._images) < 2:
                # No more of them than two: their layers would stay on the disk when their records go.
                self._images.append(
                    self._writer.add_image(f"soak {number}", names=[f"localhost/soak:{number % _NAMES}"])
                )
            elif number % 3:
                self._writer.set_names(self._random.choice(self._images), [f"localhost/soak:{number % _NAMES}"])
            elif len(self._lists) < 2:
                self._lists.append(self._writer.create_list(f"localhost/soak-list:{number % _NAMES}", self._images))
            else:
                self._writer.remove_record(self._lists.popleft())
        except (LookupError, OSError) as error:
            raise ToolError(repr(error)) from error


class Writing(threading.Thread):
    """A tool that goes on until it is told to stop, with a pause after each step."""

    def __init__(self, tool: Tool, *, first: int, pause: float) -> None:
        super().__init__(daemon=True)
        self.number = first
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        self._tool = tool
        self._pause = pause
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(self._pause):
            self.number += 1
            try:
                self._tool.step(self.number)
                self.outcomes["done"] += 1
            except ToolError as error:
                # We prune beside it: what it wanted to tag may be gone.
                self.outcomes["refused"] += 1
                self.problems = [*self.problems[-4:], str(error)]

    def stop(self) -> None:
        self._ended.set()
        self.join()
