"""``version`` and ``--version`` as tools run and read them."""

from __future__ import annotations

import json
import platform
import re
import sys

import pytest

from storaged_client.cli import exits
from storaged_client.cli.main import main
from storaged_client.cli.podman_version import PODMAN
from storaged_client.contract.version import VERSION


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == exits.DONE
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_ramalama_reads_a_version_of_podman_that_knows_annotations(capsys: pytest.CaptureFixture[str]) -> None:
    version = shown(capsys, "version", "--format", "{{ .Client.Version }}").strip()
    assert version == PODMAN
    assert not version < "5"


def test_toolbox_reads_the_client_of_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    read = json.loads(shown(capsys, "--log-level", "error", "version", "--format", "json"))
    assert read["Client"]["Version"] == PODMAN
    assert read["Client"]["BuildOrigin"] == f"storagectl {VERSION}"
    assert list(read) == ["Client"]


def test_ansible_reads_what_follows_the_word_version(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/podman", "--version"])
    for argv in (["--version"], ["-v"], ["-v", "images"]):
        assert shown(capsys, *argv).split("version")[1].strip() == PODMAN


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("{{.Client.Version}}", PODMAN),
        ("{{.Server.Version}}", PODMAN),
        ("{{.Version}}", PODMAN),
        ("{{.Client.APIVersion}} {{.Client.Built}}", f"{PODMAN} 0"),
        ("{{.Server}}", "<nil>"),
        ("{{.Client.GoVersion}}", ""),
    ],
)
def test_fields_are_found_where_podman_has_them(form: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "version", "-f", form) == f"{printed}\n"


def test_json_in_a_template_is_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    plain, filled = (shown(capsys, "version", "--format", form) for form in ("json", "{{json .Client}}"))
    assert json.loads(plain) == {"Client": json.loads(filled)}
    assert shown(capsys, "version", "--format", "{{json .}}") == plain


def test_people_read_podmans_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = dict(re.split(r": +", line, maxsplit=1) for line in shown(capsys, "version").splitlines())
    assert lines["Client"] == "Podman Engine"
    assert lines["Version"] == lines["API Version"] == PODMAN
    assert lines["OS/Arch"].startswith("linux/")
    if platform.machine() == "x86_64":
        assert lines["OS/Arch"] == "linux/amd64"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["version", "x"], "`podman version` takes no arguments"),
        (["version", "--format", "{{.Nope}}"], "can't evaluate field Nope in type *define.Version"),
        (["version", "--format", "plain"], "unknown format"),
    ],
)
def test_mistakes_are_told(argv: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == exits.FAILED
    out, err = capsys.readouterr()
    assert (out, text in err) == ("", True), err
