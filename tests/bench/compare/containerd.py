"""containerd's image service: its own daemon in folders of its own, asked in raw bytes.

Its List takes an empty request, so no generated code is needed; the few messages that fill it are written by hand
(containerd's ``api/services/images/v1/images.proto``, ``api/types/descriptor.proto``).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from storaged.sample import SampleSpec
from tests.support.peers import PeerMissing

from .figures import ANEW, CONTAINERD, STORAGED
from .listing import NO_EFFECT
from .questions import calling, cycling
from .stage import Run, single, stage
from .timing import Contender, by_turns

SIZES = (100, 200, 400, 800)
LIST, GET = "containerd: List", "containerd: Get"
_SERVICE = "/containerd.services.images.v1.Images/"
_NAMESPACE = (("containerd-namespace", "bench"),)
_START = 20.0
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_metadata_size", 1 << 20)]


def measure(run: Run) -> None:
    """As many images in containerd as in storaged, with the same names, digests and labels."""
    for images in run.sizes(SIZES):
        spec = SampleSpec(images=images, seed=run.seed, driver="vfs")
        with stage(run, spec, with_service=False) as on:
            rows = on.client.images(all=True)
            try:
                with containerd() as rival:
                    run.versions[CONTAINERD] = rival.version
                    names = rival.fill(rows)
                    answer = rival.call("List", b"")
                    listed = sum(1 for number, _ in fields(answer) if number == 1)
                    run.report.claim(listed == len(rows), f"{LIST}: containerd lists {listed} images of {len(rows)}")
                    run.figures.facts[f"{LIST}, {spec.images}: bytes"] = str(len(answer))
                    contenders = [
                        Contender(who=STORAGED, ask=calling(on, "images.list", all=True), burst=20, warm=20),
                        Contender(who=ANEW, ask=calling(on, "images.list", all=True, **NO_EFFECT), burst=20, warm=20),
                        Contender(who=CONTAINERD, ask=partial(rival.timed, "List", b""), burst=20, warm=20),
                    ]
                    run.figures.add(run.report, LIST, on.place, by_turns(contenders, run.effort(3)))
                    ask = message(1, names[0].encode())
                    known = single(on.sample)
                    contenders = [
                        Contender(who=STORAGED, ask=cycling(on, "images.resolve", known), burst=20, warm=20),
                        Contender(who=ANEW, ask=cycling(on, "images.resolve", known, **NO_EFFECT), burst=20, warm=20),
                        Contender(who=CONTAINERD, ask=partial(rival.timed, "Get", ask), burst=20, warm=20),
                    ]
                    run.figures.add(run.report, GET, on.place, by_turns(contenders, run.effort(2)))
            except PeerMissing as error:
                run.missing[CONTAINERD] = str(error)
                return


@frozen(kw_only=True)
class Containerd:
    """A running one and an open channel to it."""

    version: str
    channel: Any

    def call(self, method: str, request: bytes) -> bytes:
        """The bytes one request is answered with."""
        answer: bytes = self._method(method)(request, metadata=_NAMESPACE)
        return answer

    def timed(self, method: str, request: bytes) -> float:
        ask = self._method(method)
        start = time.perf_counter()
        ask(request, metadata=_NAMESPACE)
        return time.perf_counter() - start

    def fill(self, rows: list[dict[str, Any]]) -> list[str]:
        """One image for each row; returns their names."""
        names = []
        for row in rows:
            names.append((row["names"] or [f"<none>@sha256:{row['id']}"])[0])
            self.call("Create", message(1, image(names[-1], row["digest"], row["labels"] or {})))
        return names

    def _method(self, method: str) -> Any:
        return self.channel.unary_unary(
            _SERVICE + method, request_serializer=_same, response_deserializer=_same, _registered_method=False
        )


def _same(data: bytes) -> bytes:
    return data


@contextmanager
def containerd() -> Iterator[Containerd]:
    """One without any image while the block lasts.

    Raises:
        PeerMissing: it, or the library that talks to it, is not installed, or it did not start.
    """
    try:
        import grpc
    except ImportError:
        raise PeerMissing("grpcio is not installed: pip install -e '.[bench]'") from None
    program = shutil.which("containerd")
    if program is None:
        raise PeerMissing("containerd is not installed: apt-get install containerd")
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()
    with tempfile.TemporaryDirectory(prefix="containerd-") as name:
        folder = Path(name)
        (folder / "config.toml").write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{folder}/s"\n'
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([program, "-c", str(folder / "config.toml")], stdout=log, stderr=log)
        try:
            channel = grpc.insecure_channel(f"unix://{folder}/s", options=_OPTIONS)
            try:
                grpc.channel_ready_future(channel).result(timeout=_START)
                yield Containerd(version=printed[2], channel=channel)
            except grpc.FutureTimeoutError:
                raise PeerMissing(f"containerd did not start: {(folder / 'log').read_text()[-1000:]}") from None
            finally:
                channel.close()
        finally:
            process.terminate()
            process.wait()


# ---------------------------------------------------------------- protocol buffers


def varint(number: int) -> bytes:
    """Seven bits a byte, the least first."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def message(number: int, data: bytes) -> bytes:
    """A field of bytes: a string, or a message in the message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def image(name: str, digest: str, labels: Mapping[str, str]) -> bytes:
    """An ``Image``: its name, its labels, and the descriptor of its manifest."""
    target = message(1, b"application/vnd.oci.image.manifest.v1+json") + message(2, digest.encode())
    entries = (
        message(2, message(1, key.encode()) + message(2, value.encode()))
        for key, value in labels.items()
        # containerd takes no more than 4096 bytes of key and value.
        if key and len(key.encode()) + len(value.encode()) <= 4_096
    )
    return message(1, name.encode()) + b"".join(entries) + message(3, target + varint(3 << 3) + varint(500))


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that consists of fields of bytes."""
    place = 0
    while place < len(data):
        tag, place = _number(data, place)
        if tag & 7 != 2:
            raise ValueError(f"field {tag >> 3} is of kind {tag & 7}, not of bytes")
        length, place = _number(data, place)
        yield tag >> 3, data[place : place + length]
        place += length


def _number(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place
