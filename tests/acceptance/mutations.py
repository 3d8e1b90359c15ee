"""Random changes by the daemon, podman's service, podman and buildah in turn: every tool takes the store for its own.

python -m tests.acceptance.mutations --scale 1        each kind of mutation, then 1,000 changes, on overlay and on vfs

After a change the files, the daemon's next answer and the next one of a running ``podman system service`` are what an
independent model says (see ``should_be``); sometimes the next writer comes before any reader. After each kind of
mutation, and at intervals, podman 4.3 and 5.8 open copies of the store and find no damage; at the end buildah and
skopeo do, too, its images run and have the digests they had, and podman removes them all.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.daemon import daemon
from tests.support.peers import Peer, podman_43, podman_58, workspace
from tests.support.podman_service import service
from tests.support.report import Report, arguments

from .accepted import check_all, check_listed, copy
from .mutation_stage import Stage, build
from .our_mutations import OURS
from .their_mutations import THEIRS

_CHANGES = 1_000
_BETWEEN = 50
"""Changes between two looks at copies of the store."""
_OTHERS = 0.25
"""How often somebody else writes."""
_UNSEEN = 0.3
"""How often a change is followed by the next without a look at the store."""
_SEEN_WHOLE = 5
"""Images of each sort that are copied, and run, from a copy of the store."""
_FEW, _MANY = 4, 16
"""Images below which more are made, and above which removals become likely."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, driver=(str, "overlay,vfs", "overlay or vfs"))
    report = Report(timed=not flags.untimed)
    peers = podman_43(), podman_58()
    for number, driver in enumerate(flags.driver.split(",")):
        with stage(report, peers, driver, seed=flags.seed + number) as scene:
            thorough = flags.scale >= 1
            kinds(scene, peers, thorough=thorough)
            sequence(scene, peers, max(10, round(_CHANGES * flags.scale)), thorough=thorough)
    return report.finish()


@contextmanager
def stage(report: Report, peers: tuple[Peer, Peer], driver: str, *, seed: int) -> Iterator[Stage]:
    """Three images of podman 4.3 or, by the seed, of 5.8; then 5.8's service and the daemon on one of two loops."""
    rng = random.Random(seed)
    founder = peers[seed % 2]
    backend = ("trio", "asyncio")[seed // 2 % 2]
    report.figure(f"{driver}: founded by {founder.name}, event loop", backend)
    with workspace(peers[1], driver=driver) as store:
        with workspace(founder, driver=driver) as first:
            base = build(first, f"base {rng.random()}", tag="localhost/base:1")
            founded = [base, build(first, "child", base=base), build(first, "other", tag="localhost/other:1")]
            copy(first, store)
        with daemon(store, backend=backend) as ours, ours.client() as client, service(store) as theirs:
            scene = Stage(report=report, store=store, client=client, service=theirs, rng=rng)
            for image in founded:
                scene.model.add(image)
            scene.check(f"{driver}: founded by {founder.name}")
            yield scene


def kinds(scene: Stage, peers: Sequence[Peer], *, thorough: bool) -> None:
    """Each kind of mutation: podman's service reads next; once more: the service writes next. Then copies are opened.

    ``thorough``: by all tools of both generations. Otherwise by one podman, in turn.
    """
    report, store, model = scene.report, scene.store, scene.model
    for number, (kind, (step, _)) in enumerate(OURS.items()):
        where = f"{store.driver}, after {kind}"
        for again in (False, True):
            if kind.startswith(("remove", "prune")):
                scene.build(scene.build() if not again else None)
            step(scene, where)
            if again and model.images:
                THEIRS["service: tag"][0](scene, where)
                where = f"{where}, and the service's tag"
            scene.check(where)
        if thorough:
            for peer in peers:
                check_all(report, where, store, peer, model, most=_SEEN_WHOLE)
        else:
            check_listed(report, where, store, peers[number % 2], model)


def sequence(scene: Stage, peers: Sequence[Peer], changes: int, *, thorough: bool) -> None:
    """So many changes of the daemon by chance, and a third as many by others; at the end all tools open copies."""
    store, report = scene.store, scene.report
    done = looked = 0
    while done < changes:
        choices = {
            kind: (step, weight * _likely(kind, len(scene.model.images))) for kind, (step, weight) in OURS.items()
        }
        if scene.rng.random() < _OTHERS or not scene.model.images:
            choices = THEIRS if scene.model.images else {"podman build": THEIRS["podman build"]}
        (kind,) = scene.rng.choices(list(choices), [weight for _, weight in choices.values()])
        where = f"{store.driver} change {done} ({kind})"
        choices[kind][0](scene, where)
        scene.counts[kind] += 1
        done += kind in OURS
        if scene.rng.random() < _UNSEEN:
            # Whoever is next writes before he reads.
            continue
        scene.check(where)
        if done >= looked + _BETWEEN:
            looked = done
            for peer in peers:
                check_listed(report, where, store, peer, scene.model)
    scene.check(f"{store.driver} after {changes} changes")
    for peer in peers:
        most = _SEEN_WHOLE if thorough else 2
        check_all(report, f"{store.driver} after {changes} changes", store, peer, scene.model, most=most)
    report.figure(f"{store.driver}: changes", dict(scene.counts))
    images = (len(scene.model.plain), len(scene.model.lists))
    report.figure(f"{store.driver}: images and lists at the end", images)
    counters = scene.client.call("server.stats")["counters"]
    commits = {key: value for key, value in counters.items() if "commit" in key}
    report.figure(f"{store.driver}: daemon's counters", commits)


def _likely(kind: str, images: int) -> int:
    """Removals where there are many images, new ones where there are few; a prune of all where there are too many."""
    if kind == "prune all":
        return 0 if images < _MANY else 1
    if kind in ("remove", "prune", "untag", "manifest remove"):
        return 0 if images < _FEW else 3 if images > _MANY else 1
    return 2 if images < _FEW and kind in ("create", "manifest create") else 1


if __name__ == "__main__":
    sys.exit(main())
