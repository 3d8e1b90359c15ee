"""storaged at podman's own path: what is written for it, what is left of podman's unit, and how it is undone."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from storaged import cmd_install_units
from storaged.podman_front import FrontError, read_podman_socket
from storaged.settings import read_file

COMMAND = "/opt/storaged/bin/storaged"
SHIPPED = "[Unit]\nDescription=Podman API Socket\n\n[Socket]\nListenStream=%t/podman/podman.sock\nSocketMode=0660\n"
BEHIND = "/run/podman/podman-behind.sock"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The root of a machine with podman's units."""
    unit = tmp_path / "usr/lib/systemd/system/podman.socket"
    unit.parent.mkdir(parents=True)
    unit.write_text(SHIPPED)
    return tmp_path


def run(image: Path, *arguments: str, status: int = 0) -> None:
    flags = ["--root", str(image), "--executable", COMMAND, "--in-front-of-podman", *arguments]
    assert cmd_install_units.main(flags, {}) == status


def write(image: Path, path: str, text: str) -> Path:
    file = image / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_storaged_listens_where_podman_did_and_podman_behind_it(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(image)
    units = image / "etc/systemd/system"
    front = (units / "storaged-podman.socket").read_text()
    assert "\nListenStream=%t/podman/podman.sock\nFileDescriptorName=storaged-api\nService=storaged.service\n" in front
    assert "\nSocketMode=0660\n" in front
    assert (
        "Socket]\nListenStream=\nListenStream=%t/podman/podman-behind.sock\n"
        in (units / "podman.socket.d/50-storaged.conf").read_text()
    )
    assert "\nSockets=storaged-podman.socket\n" in (units / "storaged.service.d/50-podman.conf").read_text()
    assert tomllib.loads((image / "etc/storaged/storaged.toml").read_text()) == {"gateway": {"podman_socket": BEHIND}}
    assert "enable storaged.socket storaged-api.socket storaged-podman.socket" in capsys.readouterr().out


def test_undo_takes_away_that_and_nothing_else(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cmd_install_units.main(["--root", str(image), "--executable", COMMAND], {}) == 0
    before = tree(image)
    run(image)
    link = image / "etc/systemd/system/sockets.target.wants/storaged-podman.socket"
    link.parent.mkdir()
    link.symlink_to("../storaged-podman.socket")
    assert tree(image) != before
    run(image, "--undo")
    assert tree(image) == before
    assert not link.is_symlink()
    run(image, "--undo")
    assert tree(image) == before


def test_a_second_time_changes_nothing(image: Path) -> None:
    run(image)
    before = tree(image)
    run(image)
    assert tree(image) == before


def test_podmans_owner_mode_and_path_are_those_of_its_drop_ins(image: Path) -> None:
    write(image, "usr/lib/systemd/system/podman.socket.d/10-a.conf", "[Socket]\nSocketGroup=wheel\nSocketMode=0600\n")
    write(image, "etc/systemd/system/podman.socket.d/10-a.conf", "[Socket]\nSocketGroup=podman\n# SocketUser=x\n")
    write(
        image,
        "run/systemd/system/podman.socket.d/20-b.conf",
        "[Unit]\nSocketUser=no\n[Socket]\nListenStream=\nListenStream = /srv/p.sock\nDirectoryMode=0711\n",
    )
    podman = read_podman_socket(str(image), user=False, configuration="")
    assert podman.path == "/srv/p.sock"
    assert podman.behind == "/srv/podman-behind.sock"
    assert podman.ownership == {"SocketMode": "0660", "SocketGroup": "podman", "DirectoryMode": "0711"}


def test_a_unit_of_the_administrators_goes_before_the_packages(image: Path) -> None:
    write(image, "etc/systemd/system/podman.socket", "[Socket]\nListenStream=/run/mine.sock\nSocketMode=\n")
    podman = read_podman_socket(str(image), user=False, configuration="")
    assert (podman.path, podman.ownership) == ("/run/mine.sock", {})


@pytest.mark.parametrize("listens", ["ListenStream=127.0.0.1:8080\n", "ListenStream=@podman\n", ""])
def test_a_socket_without_a_path_is_not_taken(image: Path, listens: str) -> None:
    write(image, "etc/systemd/system/podman.socket", f"[Socket]\n{listens}")
    with pytest.raises(FrontError, match="which is not a path"):
        read_podman_socket(str(image), user=False, configuration="")


def test_without_podmans_unit_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, status=1)
    assert "install podman's units first" in capsys.readouterr().err
    assert tree(tmp_path) == {}


def test_the_operators_settings_stay_as_they_were_written(image: Path) -> None:
    theirs = '# mine\nlog_level = "debug"   # loud\n\n[gateway] # the REST API\npass_uids = [\n  1000,\n]\n'
    settings = write(image, "etc/storaged/storaged.toml", theirs)
    settings.chmod(0o640)
    run(image)
    assert settings.read_text().replace(f'podman_socket = "{BEHIND}"\n', "") == theirs
    assert settings.stat().st_mode & 0o777 == 0o640
    assert settings.with_name("storaged.toml.old").read_text() == theirs
    run(image, "--undo")
    assert settings.read_text() == theirs


def test_settings_that_cannot_be_edited_are_left_and_named(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = 'gateway = { podman_socket = "/else" }\n'
    settings = write(image, "etc/storaged/storaged.toml", theirs)
    run(image, status=1)
    assert "storaged.toml: it cannot be edited line by line: write podman_socket" in capsys.readouterr().err
    assert settings.read_text() == theirs
    assert not (image / "etc/systemd").exists()


def test_a_changed_drop_in_keeps_the_rest_in_place(image: Path) -> None:
    run(image)
    drop_in = image / "etc/systemd/system/podman.socket.d/50-storaged.conf"
    drop_in.write_text(drop_in.read_text() + "SocketMode=0600\n")
    run(image, "--undo", status=1)
    assert drop_in.exists()
    assert "podman_socket" in (image / "etc/storaged/storaged.toml").read_text()
    run(image, "--undo", "--force")
    assert not drop_in.exists()
    assert drop_in.with_name("50-storaged.conf.old").exists()


def test_a_users_podman_is_that_of_the_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 7)  # root's settings are the machine's, whoever's units these are
    write(tmp_path, ".config/systemd/user/podman.socket", SHIPPED)
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/run/user/7"}
    flags = ["--user", "--executable", COMMAND, "--in-front-of-podman"]
    assert cmd_install_units.main(flags, environ) == 0
    assert (tmp_path / ".config/systemd/user/storaged-podman.socket").exists()
    settings = tomllib.loads((tmp_path / ".config/storaged/storaged.toml").read_text())
    assert settings == {"gateway": {"podman_socket": "/run/user/7/podman/podman-behind.sock"}}
    said = capsys.readouterr().out
    assert "systemctl --user try-restart podman.socket" in said
    assert cmd_install_units.main([*flags, "--root", str(tmp_path)], environ) == 1
    assert "is not known in an image" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--undo"], ["--in-front-of-podman", "--store", "/srv/a"]])
def test_flags_that_do_not_go_together_are_refused(
    image: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    assert cmd_install_units.main(["--root", str(image), "--executable", COMMAND, *flags], {}) == 1
    assert capsys.readouterr().err.startswith("storaged: ")


def test_the_written_settings_are_the_daemons(image: Path) -> None:
    run(image)
    assert read_file(str(image / "etc/storaged/storaged.toml")).gateway.podman_socket == BEHIND
