"""Every recorded format string, run by ``storagectl`` and by a live podman 5.8 on one store."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, Store, workspace

_RECORDED = json.loads((Path(__file__).parents[1] / "unit/cli/podman_templates.json").read_text())

_LISTED = '{"name":"oci://{{ .Repository }}:{{ .Tag }}","modified":"{{ .CreatedAt }}",        "size":{{ .VirtualSize }}'
_MORE = [
    # RamaLama's listing of models, and what scripts make of it.
    ("images app", _LISTED + ' }, "ID":"{{ .ID }}"},'),
    ("images", "{{.ID}} {{.Repository}} {{.Tag}} {{.Size}} {{.CreatedSince}}"),
    ("inspect app", "{{json .}}"),
]

_CONTAINERFILE = """\
FROM localhost/base:v1
LABEL ai.ramalama=true com.x="<y>&z"
ENV A=b
EXPOSE 80/tcp
VOLUME /data
ENTRYPOINT ["/e"]
CMD ["a", "b c"]
WORKDIR /w
USER u
COPY file /file
"""


def _fill(store: Store) -> None:
    store.build("one", tag="localhost/base:v1")
    context = store.work / "context" / "app"
    context.mkdir()
    (context / "file").write_text("app")
    (context / "Containerfile").write_text(_CONTAINERFILE)
    tags = ("-t", "localhost/app:latest", "-t", "quay.io/ns/app:v2")
    store.podman("build", "-q", "--pull=never", "--isolation=chroot", *tags, str(context))
    store.build("two")


def _command(of: str, form: str) -> list[str]:
    what, *names = of.split()
    if what == "inspect":
        return [what, *(f"localhost/{name}:{'latest' if name == 'app' else 'v1'}" for name in names), "--format", form]
    return [what, *(["--filter", "label=ai.ramalama"] if names else []), "--format", form]


def _podman(store: Store, command: list[str]) -> str | None:
    """What podman prints; None where it fails."""
    argv = store.peer.argv(store.work, ["podman", *command])
    done = subprocess.run(argv, env=store.environment(), capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else None


def _storagectl(running: Daemon, command: list[str]) -> str | None:
    try:
        return running.storagectl(*command)
    except RuntimeError:
        return None


def _ageless(text: str | None) -> str | None:
    return None if text is None else re.sub(r"[^\s|]+ (?:a |an )?(?:seconds?|minutes?) ago", "AGO", text)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("command", ["images", "inspect"])
def test_formats_print_on_a_live_store_what_podman_prints(podman_58: Peer, command: str) -> None:
    formats = [(case["of"], case["format"]) for case in _RECORDED["cases"]] + _MORE
    formats = [(of, form) for of, form in formats if of.startswith(command)]
    differing = []
    with workspace(podman_58) as store:
        _fill(store)
        with daemon(store) as running:
            for of, form in formats:
                argv = _command(of, form)
                theirs, ours = _podman(store, argv), _storagectl(running, argv)
                if _ageless(theirs) != _ageless(ours):
                    differing.append((argv, theirs, ours))
    assert differing == []
