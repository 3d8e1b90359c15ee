"""A process of its own that makes one change and is killed, by the kernel, in the middle of it.

python -m tests.acceptance.faults.victim STORE MUTATION NUMBER      STORE as JSON; 0 is never killed
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from tests.support.files import Call

from .calls import Counting
from .running import mutate
from .scenes import Store


class Shot(Counting):
    """The process is killed before the call of this number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def numbered(self, number: int, call: Call, perform: Callable[[], Any]) -> Any:
        if number == self._number:
            os.kill(os.getpid(), signal.SIGKILL)
        return perform()


def command(store: Store, mutation: str, number: int) -> list[str]:
    told = json.dumps({**attrs.asdict(store), "top": str(store.top)})
    return [sys.executable, "-m", __name__, told, mutation, str(number)]


def main() -> None:
    told, mutation, number = sys.argv[1:]
    given = json.loads(told)
    mutate(Store(**{**given, "top": Path(given["top"])}), mutation, Shot(int(number)))


if __name__ == "__main__":
    main()
