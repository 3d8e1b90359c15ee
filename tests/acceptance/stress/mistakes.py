"""A daemon with one mistake, so that it can be seen that it is found out.

python -m tests.acceptance.stress.mistakes keeps-descriptors serve …      descriptors that nobody takes stay open
python -m tests.acceptance.stress.mistakes keeps-memory serve …           64 KiB of each request stay
python -m tests.acceptance.stress.mistakes breaks serve …                 now and then a method fails for no reason
python -m tests.acceptance.stress.mistakes hangs serve …                  now and then no answer comes
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import count
from typing import Any

import anyio

import storaged.server.fd_closer
from storaged.cli import main
from storaged.service.service import Service

_OFTEN = 20

_begin = Service.begin
_numbers = count(1)
_kept: list[bytes] = []


def _now(method: str) -> bool:
    """Not where the check itself asks how the daemon fares."""
    return not method.startswith("server.") and next(_numbers) % _OFTEN == 0


def _keeps_memory(self: Service, session: Any, method: str, params: object) -> Any:
    _kept.append(b"x" * (64 << 10))
    return _begin(self, session, method, params)


def _breaks(self: Service, session: Any, method: str, params: object) -> Any:
    if _now(method):
        raise ZeroDivisionError("planted")
    return _begin(self, session, method, params)


def _hangs(self: Service, session: Any, method: str, params: object) -> Any:
    return anyio.sleep_forever if _now(method) else _begin(self, session, method, params)


def _keep(descriptors: Iterable[int]) -> None:
    pass


def _plant(mistake: str) -> None:
    if mistake == "keeps-descriptors":
        storaged.server.fd_closer.close_all = _keep
    else:
        planted = {"keeps-memory": _keeps_memory, "breaks": _breaks, "hangs": _hangs}[mistake]
        Service.begin = planted  # type: ignore[method-assign]


if __name__ == "__main__":
    _plant(sys.argv.pop(1))
    sys.exit(main())
