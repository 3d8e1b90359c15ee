"""How long clients of podman's and Docker's REST API wait: for podman's own service, for the gateway, for ready bytes.

    python -m tests.bench.gateway --scale 1

One run, one store, one client after the other; the store has 800 images at full scale. *Ready bytes* is a server that
has every answer before it is asked (``ready_bytes``): what remains is the client's own time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from storaged.sample import SampleSpec, write_store
from tests.acceptance.rest_reads import furnish
from tests.support.daemon import BACKENDS, daemon
from tests.support.peers import podman_58, workspace
from tests.support.podman_service import service
from tests.support.report import Report, arguments
from tests.support.rest import RestClient

_IMAGES = 800
_LIBPOD = "/v5.8.0/libpod"

_WANTED = {
    "podman-py images.list()": 150,
    "docker-py api.images()": 150,
    "docker-py images.list()": 9,
    "libpod listing, raw": 500,
}
"""Times faster than podman's own service, at full scale."""
_INSPECT_MS = 0.35


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    images = max(20, round(_IMAGES * flags.scale))
    with workspace(podman_58(), driver="overlay") as store:
        write_store(store.graphroot, store.runroot, SampleSpec(images=images, seed=flags.seed, driver="overlay"))
        furnish(store.graphroot)
        times: dict[str, dict[str, float]] = {}
        with service(store):
            times["podman"] = measure(store.work / "service", 3)
        for backend in BACKENDS:
            more = ("--api-socket", str(store.work / backend), "--podman-socket", "none")
            with daemon(store, backend=backend, more=more):
                times[backend] = measure(store.work / backend, 9)
                answers = record(store.work / backend)
        with ready_bytes(store.work, answers) as path:
            times["ready bytes"] = measure(path, 9)
    judge(report, images, times, full=flags.scale >= 1)
    return report.finish()


def measure(path: Path, rounds: int) -> dict[str, float]:
    """Milliseconds of each question, the least of the rounds: what a busy machine adds says nothing."""
    import docker
    import podman

    url = f"http+unix://{str(path).replace('/', '%2F')}"
    found: dict[str, float] = {}
    with RestClient(path) as raw:
        found["libpod listing, raw"] = _least(lambda: raw.get(f"{_LIBPOD}/images/json"), rounds)
        rows = raw.get("/v1.44/images/json").json
        one = rows[len(rows) // 2]["Id"]
        found["Docker's inspect, raw"] = _least(lambda: raw.get(f"/v1.44/images/{one}/json"), 20 * rounds)
    with podman.PodmanClient(base_url=url) as client:
        found["podman-py images.list()"] = _least(client.images.list, rounds)
    client = docker.DockerClient(base_url=f"unix://{path}", version="1.44")
    try:
        found["docker-py api.images()"] = _least(client.api.images, rounds)
        found["docker-py images.list()"] = _least(client.images.list, rounds)
    finally:
        client.close()
    return found


def record(path: Path) -> dict[str, str]:
    """The answers to all that ``measure`` asks, by target as the clients spell it."""
    listing = f"{_LIBPOD}/images/json"
    with RestClient(path) as raw:
        answers = {listing: raw.get(listing).body.decode()}
        rows = raw.get("/v1.44/images/json")
        for target in ("", "?only_ids=0&all=0"):
            answers[f"/v1.44/images/json{target}"] = rows.body.decode()
        for row in rows.json:
            target = f"/v1.44/images/{row['Id']}/json"
            answers[target] = raw.get(target).body.decode()
    return answers


@contextmanager
def ready_bytes(folder: Path, answers: Mapping[str, str]) -> Iterator[Path]:
    path, file = folder / "ready", folder / "answers.json"
    file.write_text(json.dumps(answers))
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.ready_bytes", str(file), str(path)])
    try:
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.05)
        yield path
    finally:
        process.kill()
        process.wait()


def judge(report: Report, images: int, times: Mapping[str, Mapping[str, float]], *, full: bool) -> None:
    print(f"\n{images} images, milliseconds (least)\n\n| question | " + " | ".join(times) + " | podman / trio |")
    print("|---|" + "---|" * (len(times) + 1))
    for question, podman in times["podman"].items():
        cells = " | ".join(f"{found[question]:.3g}" for found in times.values())
        print(f"| {question} | {cells} | {podman / times['trio'][question]:.0f} |")
    if not full:
        return
    for backend in BACKENDS:
        for question, wanted in _WANTED.items():
            ratio = times["podman"][question] / times[backend][question]
            report.in_time(ratio >= wanted, f"{backend}: {question}: {ratio:.0f} times, not {wanted}")
        inspect = times[backend]["Docker's inspect, raw"]
        report.in_time(inspect <= _INSPECT_MS, f"{backend}: an inspection takes {inspect:.2f} ms")


def _least(ask: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


if __name__ == "__main__":
    sys.exit(main())
