"""``python -m tests.bench.load_on_uvloop serve …``: the daemon's own program, with uvloop under asyncio.

The daemon has no such flag: this shows what one would bring.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from storaged.cli import main

_run = anyio.run


def _run_on_uvloop(live: Callable[..., Awaitable[Any]], *arguments: Any, backend: str) -> Any:
    options = {"use_uvloop": True} if backend == "asyncio" else None
    return _run(live, *arguments, backend=backend, backend_options=options)


if __name__ == "__main__":
    anyio.run = _run_on_uvloop  # type: ignore[assignment]
    sys.exit(main())
