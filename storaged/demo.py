"""``storaged demo``: the founding question, asked of a real daemon over its socket, on a throwaway store.

Needs no podman: the store is written by :mod:`storaged.sample`, by the rules that podman itself keeps, while
the daemon serves it. Each step says what it proves; any other answer ends the demo with exit status 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import storaged_client
from storaged.sample import SampleSpec, SampleWriter, write_store
from storaged_client.sync import Client

_DRIVER: Literal["overlay"] = "overlay"
_LIST = "localhost/demo:latest"


class _WrongAnswer(Exception):
    """The daemon did not say what this step proves."""


def main(argv: Sequence[str] | None = None) -> int:
    """Play the scenario; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="storaged demo", description="The founding question, answered before your eyes on a throwaway store."
    )
    parser.add_argument("--images", type=int, default=200, help="images of the sample store (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample store (default 1)")
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="trio", help="back end of the daemon")
    options = parser.parse_args(argv)
    if options.images < 1:
        parser.error("--images must be at least 1")
    with tempfile.TemporaryDirectory(prefix="storaged-demo-") as folder:
        try:
            _play(Path(folder), options.images, options.seed, options.backend)
        except _WrongAnswer as wrong:
            print(f"  ✗ {wrong}", file=sys.stderr)
            return 1
    print("\nEvery answer was as it must be. Try it on your own store:  storagectl images --filter dangling=true")
    return 0


def _play(folder: Path, images: int, seed: int, backend: str) -> None:
    graphroot, runroot, socket = folder / "root", folder / "run", folder / "sock"
    sample = write_store(graphroot, runroot, SampleSpec(images=images, seed=seed, driver=_DRIVER))
    print(f"A throwaway store: {images} images, {len(sample.lists)} of them manifest lists, {sample.layers} layers.")
    with _daemon(graphroot, runroot, socket, backend), storaged_client.connect(str(socket)) as store:
        info = store.server.info()
        print(f"storaged {info.version} (pid {info.pid}, {info.backend}) serves it on {socket}\n")
        writer = SampleWriter(graphroot, runroot, _DRIVER)

        _step("The whole store is listed, and what dangles in it is a look-up")
        listed = store.images.list(all=True)
        _expect({image.id for image in listed} == set(sample.images), f"{len(listed)} images, the same as were written")
        dangling = {image.id for image in store.images.list(filters={"dangling": True})}
        _expect(dangling == sample.dangling, f"{len(dangling)} of them dangle, exactly those that must")

        _step("Another tool adds an image without a name")
        image = writer.add_image("the founding question")
        _expect(
            _dangles(store, image), f"{image[:12]} is dangling: no name, no child, in no list; a prune would take it"
        )

        _step("Another tool creates a manifest list that names it")
        list_id = writer.create_list(_LIST, [image])
        _expect(not _dangles(store, image), f"{image[:12]} is not dangling any more, in the very next read")
        why = store.images.why(image)
        reasons = [reason for reason in why.reasons if reason.code == "manifest_list" and reason.list == list_id]
        _expect(bool(reasons) and not why.prunable, f"why is it kept? {reasons[0].detail if reasons else ''}")

        _step("The list loses its name; it is a local list all the same")
        writer.set_names(list_id, [])
        _expect(not _dangles(store, image), f"{image[:12]} is still kept by the list {list_id[:12]}")

        _step("The list's manifest is lost, as after a power cut")
        manifest = graphroot / f"{_DRIVER}-images" / list_id / "manifest"
        content = manifest.read_bytes()
        manifest.unlink()
        store.refresh()
        _expect(not _dangles(store, image), "nothing counts as dangling while a list cannot be read")
        evidence = store.server.info().unreadable_evidence
        _expect(
            [flaw.image for flaw in evidence] == [list_id],
            f"info names the file, and what removes it: {evidence[0].command if evidence else ''}",
        )
        manifest.write_bytes(content)
        store.refresh()

        _step("Another tool removes the list")
        writer.remove_record(list_id)
        _expect(_dangles(store, image), f"{image[:12]} is dangling again, in the very next read")


def _dangles(store: Client, image: str) -> bool:
    answer = store.images.list(filters={"dangling": True})
    if answer.stale is not None:
        raise _WrongAnswer(f"the answer is stale: {answer.stale}")
    found = image in {found.id for found in answer}
    if found != store.images.why(image).dangling:
        raise _WrongAnswer("the listing and why disagree")
    return found


def _step(text: str) -> None:
    print(text)


def _expect(holds: bool, text: str) -> None:
    if not holds:
        raise _WrongAnswer(f"expected: {text}")
    print(f"  ✓ {text}")


@contextmanager
def _daemon(graphroot: Path, runroot: Path, socket: Path, backend: str) -> Iterator[None]:
    """A daemon of its own process, as a host would run it; ended when the demo is over."""
    command = [sys.executable, "-m", "storaged", "serve", "--backend", backend, "--socket", str(socket)]
    command += ["--root", str(graphroot), "--runroot", str(runroot), "--driver", _DRIVER]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            heard: list[str] = []
            for line in process.stderr:
                heard.append(line)
                if line.startswith("ready:"):
                    break
            else:
                raise _WrongAnswer("the daemon did not start:\n" + "".join(heard[-10:]))
            yield
        finally:
            process.terminate()
            process.communicate(timeout=20)
