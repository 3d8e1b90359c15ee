"""The gateway holds under a little hostile HTTP; one that passes on what it was sent, byte by byte, is found out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.acceptance.stress.hostile_http import attack, exchange, wrong_in
from tests.acceptance.stress.http_inputs import Inputs
from tests.acceptance.stress.strict_upstream import strict_upstream
from tests.support.report import Report

pytestmark = pytest.mark.timeout(150)


def test_hostile_inputs_reach_podman_as_they_were_read() -> None:
    report = Report(timed=False)
    attack(report, count=100, seed=1)
    assert report.violations == []


def test_who_passes_on_bytes_is_found_out(short_dir: Path) -> None:
    inputs = Inputs(1)
    found: dict[str, str] = {}
    with strict_upstream(str(short_dir / "podman")) as strict, _relay(short_dir / "api", short_dir / "podman") as api:
        for _ in range(300):
            each = inputs.next()
            problem = wrong_in(each, exchange(api, each, inputs.cuts(len(each.data))), strict)
            if problem or strict.failures:
                found[each.kind] = problem or strict.failures[0]
            strict.failures.clear()
    assert {"bare_line_ends", "length_and_chunks", "two_lengths", "odd_codings", "folded_fields"} <= set(found)


@contextmanager
def _relay(path: Path, podman: Path) -> Iterator[str]:
    """Bytes both ways, whatever they are."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, podman), daemon=True).start()
        yield str(path)
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, podman: Path) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, podman), daemon=True).start()


def _serve(client: socket.socket, podman: Path) -> None:
    with client, socket.socket(socket.AF_UNIX) as upstream:
        upstream.connect(str(podman))
        up = threading.Thread(target=_pump, args=(client, upstream))
        up.start()
        _pump(upstream, client)
        up.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
