"""``storaged demo``: shows on a throwaway store, with a real daemon, that storaged answers correctly.

The demo needs no podman. :mod:`storaged.sample` creates the store by podman's rules, and storaged makes all changes to
it. Each step says what it proves; a wrong answer ends the demo with exit status 1.
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
from storaged.sample import Sample, SampleSpec, write_store
from storaged_client.contract.errors import StoragedError
from storaged_client.errors import ClientError
from storaged_client.sync import Client

_DRIVER: Literal["overlay"] = "overlay"
_LIST = "localhost/demo:latest"
_CONFIG = {
    "created": "2026-11-24T12:00:00Z",
    "architecture": "amd64",
    "os": "linux",
    "config": {"Labels": {"question": "is it needed?"}},
    "rootfs": {"type": "layers", "diff_ids": []},
    "history": [{"created": "2026-11-24T12:00:00Z", "created_by": "storaged demo", "empty_layer": True}],
}


class _WrongAnswer(Exception):
    """The daemon gave another answer than this step expects."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="storaged demo", description="Create a throwaway store, start a daemon on it, and check its answers."
    )
    parser.add_argument("--images", type=int, default=200, help="number of images in the sample store (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample store (default 1)")
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="trio", help="back end of the daemon")
    options = parser.parse_args(argv)
    if options.images < 1:
        parser.error("--images must be at least 1")
    with tempfile.TemporaryDirectory(prefix="storaged-demo-") as folder:
        try:
            _play(Path(folder), options.images, options.seed, options.backend)
        except (_WrongAnswer, ClientError, StoragedError) as wrong:
            print(f"  ✗ {wrong}", file=sys.stderr)
            return 1
    print("\nEvery answer was right. Now ask your own store; this removes nothing:  storagectl image prune --dry-run")
    return 0


def _play(folder: Path, images: int, seed: int, backend: str) -> None:
    graphroot, runroot, socket = folder / "root", folder / "run", folder / "sock"
    sample = write_store(graphroot, runroot, SampleSpec(images=images, seed=seed, driver=_DRIVER, contents="files"))
    print(f"A throwaway store: {images} images, {len(sample.lists)} of them manifest lists, {sample.layers} layers.")
    with _daemon(graphroot, runroot, socket, backend), storaged_client.connect(str(socket)) as store:
        info = store.server.info()
        print(f"storaged {info.version} (pid {info.pid}, {info.backend}) serves it on {socket}\n")
        _the_store_is_known(store, sample)
        image = _an_image_is_made(store)
        list_id = _a_list_keeps_it(store, image)
        _an_unreadable_list_keeps_everything(store, image, graphroot / f"{_DRIVER}-images" / list_id / "manifest")
        _without_the_list_it_goes(store, image, list_id)
        _nothing_is_wrong(store, graphroot, image, list_id)


def _the_store_is_known(store: Client, sample: Sample) -> None:
    _step("List the whole store, and its dangling images")
    listed = store.images.list(all=True)
    _expect({image.id for image in listed} == set(sample.images), f"{len(listed)} images, the same that were written")
    dangling = {image.id for image in store.images.list(filters={"dangling": True})}
    _expect(dangling == sample.dangling, f"{len(dangling)} of them are dangling, exactly those that should be")


def _an_image_is_made(store: Client) -> str:
    _step("Create an image without a name")
    (image,) = store.images.create(_CONFIG).ids
    _expect(_dangles(store, image), f"{image[:12]} is dangling: no name, no child, in no list")
    plan = store.images.prune(dry_run=True)
    _expect(image in {going.id for going in plan.removed}, "a prune would remove it; this was only a dry run")
    return image


def _a_list_keeps_it(store: Client, image: str) -> str:
    _step("Create a manifest list that names it, in one change")
    made = store.manifests.create(_LIST, [image])
    _expect(not _dangles(store, image), f"{image[:12]} is no longer dangling in the next read")

    _step("Remove the name of the list; it is still a local list")
    store.images.untag(made.id)
    why = store.images.why(image)
    reasons = [reason for reason in why.reasons if reason.code == "manifest_list" and reason.list == made.id]
    _expect(bool(reasons) and not why.prunable, f"why is it kept? {reasons[0].detail if reasons else ''}")
    store.images.tag(made.id, [_LIST])

    _step("Prune all dangling images")
    report = store.images.prune()
    _expect(report.failed == (), f"{len(report.removed)} images removed, {report.freed} bytes freed, no failure")
    _expect(not len(store.images.list(filters={"dangling": True})), "no image is dangling")
    _expect(store.images.exists(image).exists, f"{image[:12]} was kept, because the list names it")
    return made.id


def _an_unreadable_list_keeps_everything(store: Client, image: str, manifest: Path) -> None:
    _step("Delete the list's manifest, as after a power cut")
    content = manifest.read_bytes()
    manifest.unlink()
    store.refresh()
    report = store.images.prune()
    _expect(report.removed == (), "a prune removes nothing while a list cannot be read")
    evidence = store.server.info().unreadable_evidence
    _expect(
        [flaw.image for flaw in evidence] == [manifest.parent.name],
        f"info names the file, and the command that removes it: {evidence[0].command if evidence else ''}",
    )
    manifest.write_bytes(content)
    store.refresh()
    _expect(not _dangles(store, image), "the file is restored, and everything is as before")


def _without_the_list_it_goes(store: Client, image: str, list_id: str) -> None:
    _step("Remove the list")
    report = store.manifests.remove([_LIST])
    _expect({gone.id for gone in report.removed} == {list_id}, "the list was removed, and nothing else")
    _expect(_dangles(store, image), f"{image[:12]} is dangling again in the next read")

    _step("Make a plan, and give the image a name before running the plan")
    plan = store.images.prune(dry_run=True)
    _expect({going.id for going in plan.removed} == {image}, "the plan lists only that image")
    store.images.tag(image, ["demo:kept"])
    report = store.images.prune(plan=plan.plan)
    _expect(report.removed == () and {kept.id for kept in report.changed} == {image}, "the plan removes nothing now")

    _step("Remove the name, and prune")
    store.images.untag(image)
    report = store.images.prune()
    _expect({gone.id for gone in report.removed} == {image}, f"{image[:12]} was removed, and nothing else")
    _expect(not store.images.exists(image).exists, "the next read does not know it")


def _nothing_is_wrong(store: Client, graphroot: Path, *gone: str) -> None:
    _step("Check the store")
    left = [path for id_ in gone if (path := graphroot / f"{_DRIVER}-images" / id_).exists()]
    _expect(left == [], "no file of the removed images is left")
    findings = store.check().findings
    wrong = "".join(f"; {found.detail}" for found in findings)
    _expect(findings == (), f"records and files match: the check finds nothing{wrong}")


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
    """Run a daemon in its own process, as a host would; stop it at the end."""
    command = [sys.executable, "-m", "storaged", "serve", "--backend", backend, "--socket", str(socket)]
    config = socket.with_name("storaged.toml")
    config.touch()  # this machine's own settings must not matter
    command += ["--config", str(config), "--root", str(graphroot), "--runroot", str(runroot), "--driver", _DRIVER]
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
