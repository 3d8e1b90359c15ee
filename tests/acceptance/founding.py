"""The founding scenario, written by real tools: untagged image, list, list gone; each step right in the next read.

python -m tests.acceptance.founding
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from tests.support.client import Client
from tests.support.daemon import daemon
from tests.support.peers import Store, podman_43, podman_58, workspace
from tests.support.report import Report, arguments


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, peers=(str, "4.3,5.8", "which podmans write"))
    report = Report(timed=not flags.untimed)
    finders = {"4.3": podman_43, "5.8": podman_58}
    for version in flags.peers.split(","):
        for driver in ("vfs", "overlay"):
            for tool in ("podman", "buildah"):
                with workspace(finders[version](), driver=driver) as store:
                    play(report, store, tool)
    return report.finish()


def play(report: Report, store: Store, tool: str) -> None:
    """One round, all writing done by ``tool``. The daemon runs before the first file of the store exists."""
    where = f"{store.peer.name} {tool} {store.driver}"
    write: Callable[..., str] = store.podman if tool == "podman" else store.buildah
    with daemon(store) as ours, ours.client() as client:
        report.claim(client.images() == [], f"{where}: images in a store that does not exist")
        build = store.build if tool == "podman" else store.buildah_image
        image = build(f"{where} loose")
        step(report, f"{where}: built", client, image, dangling=True)
        name = "localhost/founding:1"
        write("manifest", "create", name)
        step(report, f"{where}: empty list created", client, image, dangling=True)
        write("manifest", "add", name, f"containers-storage:{image}")
        made = client.call("manifests.get", name=name)["manifest"]["id"]
        step(report, f"{where}: added to the list", client, image, dangling=False, in_list=made, called=name)
        write("untag", name) if tool == "podman" else store.buildah("tag", name, "localhost/renamed:1")
        step(report, f"{where}: list renamed", client, image, dangling=False, in_list=made)
        write("manifest", "rm", made) if tool == "podman" else _buildah_remove(store, name, "localhost/renamed:1")
        step(report, f"{where}: list removed", client, image, dangling=True)
        store.podman("rmi", image)
        report.claim(not client.call("images.exists", name=image)["exists"], f"{where}: image outlives podman rmi")


def _buildah_remove(store: Store, *names: str) -> None:
    for name in names:
        store.buildah("manifest", "rm", name)


def step(
    report: Report,
    where: str,
    client: Client,
    image: str,
    *,
    dangling: bool,
    in_list: str | None = None,
    called: str = "",
) -> None:
    """The very next reads, by listing and by ``why``."""
    answer = client.call("images.list", filters=["dangling=true"])
    listed = {row["id"] for row in answer["images"]}
    report.claim(answer["stale"] is None, f"{where}: stale {answer['stale']}")
    report.claim((image in listed) is dangling, f"{where}: dangling is {image in listed}")
    why = client.call("images.why", name=image)
    report.claim(why["dangling"] is dangling, f"{where}: why says dangling {why['dangling']}")
    reasons = [reason for reason in why["reasons"] if reason["code"] == "manifest_list"]
    report.claim(
        [reason["list"] for reason in reasons] == ([in_list] if in_list else []), f"{where}: why names {reasons}"
    )
    if called:
        report.claim(called in reasons[0]["list_names"], f"{where}: why does not name {called}: {reasons}")
    print(f"{where}: dangling {image in listed}, lists {[reason['list'][:12] for reason in reasons]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
