"""The client libraries' own integration suites, before podman 5.8's service alone and before the gateway.

    python -m tests.acceptance.rest_suites [--docker-py DIR]

No test or subtest that passes before podman alone may fail before the gateway, which has that podman behind it, on
trio or asyncio. podman-py's suite comes with its source distribution on PyPI. docker-py's does not: ``--docker-py``
names a checkout of its repository; without one that suite is skipped. A registry on the loopback serves images with
the names that the suites pull.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import frozen

from tests.interop.odd_images import CREATED, DOCKER, Blobs, image_of
from tests.interop.registry import registry
from tests.support.daemon import BACKENDS, daemon
from tests.support.peers import Peer, Store, podman_58, workspace
from tests.support.podman_service import service
from tests.support.report import Report, arguments

_PATIENCE = 300
"""Seconds a suite may take."""
_BUSYBOX = Path("/bin/busybox")
_PULLED = (
    ("quay.io/libpod/alpine", "latest"),
    ("quay.io/libpod/alpine_labels", "latest"),
    ("registry.access.redhat.com/ubi8", "latest"),
    ("docker.io/library/ubi8", "latest"),
    ("docker.io/library/alpine", "latest"),
    ("docker.io/library/alpine", "3.10"),
    ("docker.io/library/hello-world", "latest"),
)
"""Repositories and tags that the suites pull."""
_NEEDS_SSHD = "podman/tests/integration/test_adapters.py::AdapterIntegrationTest::test_ssh_ping"
_PODMAN_PY = ("images", "manifests", "system", "adapters")
_DOCKER_PY = ("api_image_test", "models_images_test", "client_test", "api_client_test", "regression_test")


@frozen(kw_only=True)
class Suite:
    """A library's tests: what pytest runs, in which folder, and how many podman 5.8 passes without the network."""

    name: str
    folder: Path
    tests: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, docker_py=(str, "", "a checkout of docker-py"))
    report = Report(timed=not flags.untimed)
    peer = podman_58()
    if not _BUSYBOX.exists():
        sys.exit("busybox is missing: apt-get install busybox-static")
    with tempfile.TemporaryDirectory(prefix="suites-") as name:
        for suite in _suites(report, Path(name), flags.docker_py):
            compare(report, peer, suite)
    return report.finish()


def compare(report: Report, peer: Peer, suite: Suite) -> None:
    """Run it before podman, then before the gateway on each back end."""
    alone = _run(peer, suite, None)
    report.figure(f"{suite.name}, podman alone", _score(alone))
    passed = {test for test, outcome in alone.items() if outcome == "PASSED"}
    report.claim(bool(passed), f"{suite.name}: nothing passes before podman alone")
    for backend in BACKENDS:
        ours = _run(peer, suite, backend)
        report.figure(f"{suite.name}, gateway on {backend}", _score(ours))
        better = sorted(test for test, outcome in ours.items() if outcome == "PASSED" and test not in passed)
        if better:
            report.figure(f"{suite.name}, gateway on {backend}, passes too", ", ".join(better))
        for test in sorted(passed):
            found = ours.get(test, "not run")
            report.claim(found == "PASSED", f"{suite.name} on {backend}: {test}: {found}")
        # pytest names a subtest only where it fails.
        for test in sorted(ours.keys() - alone.keys()):
            report.claim(
                ours[test] != "FAILED", f"{suite.name} on {backend}: {test}: fails, and not before podman alone"
            )
        if mended := sorted(alone.keys() - ours.keys()):
            report.figure(f"{suite.name}, gateway on {backend}, no longer fails", ", ".join(mended))


def _score(outcomes: dict[str, str]) -> str:
    found = list(outcomes.values())
    return f"{found.count('PASSED')} passed, {found.count('FAILED')} failed, {found.count('SKIPPED')} skipped"


# ---------------------------------------------------------------------------- the suites


def _suites(report: Report, work: Path, docker_py: str) -> Iterator[Suite]:
    try:
        folder = _source(work, "podman", version("podman"))
        tests = tuple(
            f"podman/tests/integration/test_{word}.py" for word in ("images", "manifests", "system", "adapters")
        )
        yield Suite(name="podman-py", folder=folder, tests=tests)
    except (PackageNotFoundError, subprocess.CalledProcessError) as error:
        report.figure("podman-py", f"skipped: its source cannot be had: {error}")
    if docker_py:
        tests = tuple(f"tests/integration/{word}.py" for word in _DOCKER_PY)
        yield Suite(name="docker-py", folder=Path(docker_py), tests=tests)
    else:
        report.figure("docker-py", "skipped: PyPI has it without its tests; --docker-py names a checkout")


def _source(work: Path, package: str, release: str) -> Path:
    """The source distribution, unpacked.

    Raises:
        subprocess.CalledProcessError: the package index does not give it.
    """
    environment = work / "build"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin/python", "-m", "pip", "-q", "--disable-pip-version-check"]
    # pip builds the package's description, and then needs what builds it.
    subprocess.run([*pip, "install", "hatchling", "setuptools", "wheel"], check=True)
    download = [*pip, "download", "--no-deps", "--no-build-isolation", "--no-binary", package, f"{package}=={release}"]
    subprocess.run(download, check=True, cwd=work)
    with tarfile.open(work / f"{package}-{release}.tar.gz") as archive:
        archive.extractall(work, filter="data")
    return work / f"{package}-{release}"


def _run(peer: Peer, suite: Suite, backend: str | None) -> dict[str, str]:
    """Each test's outcome, before podman alone or before the gateway on that back end."""
    with workspace(peer) as store, _served(store, backend) as socket:
        programs = store.work / "programs"
        programs.mkdir()
        stand_in = programs / "podman"
        stand_in.write_text(_STAND_IN.format(python=sys.executable, release=peer.version, socket=socket))
        stand_in.chmod(0o755)
        environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PODMAN_BINARY": str(stand_in)}
        environ |= {"DOCKER_HOST": f"unix://{socket}", "DOCKER_TEST_API_VERSION": "1.44", "HOME": str(store.work)}
        command = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
        command += [
            "--deselect",
            _NEEDS_SSHD,
            "-p",
            "no:xdist",
            "--tb=short",
            "--timeout=60",
            "-c",
            os.devnull,
            "--rootdir",
            str(suite.folder),
        ]
        done = subprocess.run(
            [*command, *suite.tests],
            cwd=suite.folder,
            env={**environ, "PYTHONPATH": str(suite.folder), "COLUMNS": "400"},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    return _outcomes(done.stdout)


def _outcomes(printed: str) -> dict[str, str]:
    """By the test's name, with its subtest's."""
    found: dict[str, str] = {}
    for line in printed.splitlines():
        if matched := re.match(r"(?:SUB)?(PASSED|FAILED|ERROR|SKIPPED)(?:\[(.*?)\])? (\S+::\S+)", line):
            name = " ".join(filter(None, (matched[3], matched[2])))
            found[name] = "FAILED" if matched[1] == "ERROR" else matched[1]
    return found


@contextmanager
def _served(store: Store, backend: str | None) -> Iterator[Path]:
    """The socket: podman's own, or the gateway's before it."""
    with ExitStack() as stack:
        tls = _certificate(store.work)
        mapped = []
        for repository in dict.fromkeys(name for name, _ in _PULLED):
            served, blobs = {}, {}
            for tag in (tag for name, tag in _PULLED if name == repository):
                manifest, more = runnable(f"{repository}:{tag}")
                served[tag] = (DOCKER, manifest)
                blobs |= more
            host = stack.enter_context(registry(blobs, served, tls))
            place = f'location = "{host}/{repository.partition("/")[2]}"'
            mapped.append(f'[[registry]]\nprefix = "{repository}"\n{place}\n')
            trusted = store.work / ".config/containers/certs.d" / host
            trusted.mkdir(parents=True)
            (trusted / "ca.crt").write_bytes((store.work / "certificate").read_bytes())
        conf = store.work / "registries.conf"
        conf.write_text('unqualified-search-registries = ["docker.io"]\n' + "".join(mapped))
        stack.enter_context(service(store, containers=True))
        socket = store.work / "service"
        if backend is not None:
            flags = ("--api-socket", str(store.work / "api"), "--podman-socket", str(socket))
            stack.enter_context(daemon(store, backend=backend, more=flags))
            socket = store.work / "api"
        yield socket


def _certificate(work: Path) -> ssl.SSLContext:
    """Of the loopback: podman-py asks for TLS, whatever registries.conf says."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=loopback"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", work / "key", "-out", work / "certificate"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "certificate", work / "key")
    return context


def runnable(word: str) -> tuple[bytes, Blobs]:
    """An image with busybox; each ``word`` gives another image and layer. Its manifest and all it names."""
    history = [{"created": CREATED, "created_by": "busybox"}]
    config = {
        "created": CREATED,
        "history": history,
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Labels": {"word": word}},
    }
    links = ("sh", "cat", "echo", "touch", "sleep", "true", "top")
    files = {
        "bin/busybox": _BUSYBOX.read_bytes(),
        "etc/passwd": b"root:x:0:0:root:/:/bin/sh\n",
        "etc/word": word.encode(),
    }
    return image_of(DOCKER, config, files, {f"bin/{name}": "busybox" for name in links})


_STAND_IN = """#!{python}
# podman as podman-py's tests start it: instead of a service of its own, the one that is tested.
import os, signal, socket, sys, threading

words = [word for word in sys.argv[1:] if not word.startswith("--")]
if "--version" in sys.argv:
    print("podman version {release}")
elif words[:1] == ["info"]:
    print("{release}")
elif words[:2] == ["system", "service"]:
    place = words[2]
    if place.startswith("unix://"):
        os.symlink("{socket}", place.removeprefix("unix://"))
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
    else:
        def pump(one, other):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

        with socket.create_server(("localhost", int(place.rpartition(":")[2]))) as listener:
            while True:
                near = listener.accept()[0]
                far = socket.socket(socket.AF_UNIX)
                far.connect("{socket}")
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()
else:
    sys.exit("only the service")
"""


if __name__ == "__main__":
    sys.exit(main())
