"""Units put in place: what is written, what is left alone, and what is said about it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storaged import cmd_install_units, unit_plan
from storaged.cmd_install_units import executable
from storaged.executable_trust import foreign
from storaged.managed_file import put
from storaged.unit_plan import InstallError, make_plan, with_store
from storaged_client import systemd_units
from storaged_client.stores import digest

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "storaged" / "units"
COMMAND = "/opt/storaged/bin/storaged"


def installed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0, **environ: str) -> str:
    assert cmd_install_units.main(["--executable", COMMAND, *arguments], environ) == status
    return capsys.readouterr().out


def test_every_shipped_file_is_installed_somewhere_but_the_examples() -> None:
    shipped = {str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*") if path.is_file()}
    placed = unit_plan._SYSTEM.keys() | unit_plan._USER_PACKAGE.keys()
    assert placed == {name for name in shipped if not name.startswith("examples/")}


def test_the_systems_files_are_put_where_systemd_looks_for_local_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = installed(capsys, "--root", str(tmp_path))
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == [
        "etc/systemd/system-preset/80-storaged.preset",
        "etc/systemd/system/storaged-api.socket",
        "etc/systemd/system/storaged.service",
        "etc/systemd/system/storaged.socket",
        "etc/sysusers.d/storaged.conf",
        "etc/tmpfiles.d/storaged.conf",
    ]
    assert all(f"{tmp_path}/{path}: written\n" in said for path in written)
    assert all((tmp_path / path).stat().st_mode & 0o777 == 0o644 for path in written)


def test_the_unit_runs_the_command_that_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(capsys, "--root", str(tmp_path))
    shipped = (SHIPPED / "storaged.service").read_text()
    mark, _, rest = (tmp_path / "etc/systemd/system/storaged.service").read_text().partition("\n")
    assert mark.startswith("# Installed by storaged install-units")
    assert rest == shipped.replace("ExecStart=/usr/bin/storaged ", f"ExecStart={COMMAND} ")
    assert rest != shipped


def test_another_store_has_units_of_its_own_that_differ_in_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = installed(capsys, "--root", str(tmp_path), "--store", "/srv/all images", "--runroot", "/run/images")
    instance = digest("/srv/all images")
    assert f"enable storaged@{instance}.socket" in said
    settings = (tmp_path / f"etc/storaged/stores/{instance}.conf").read_text().splitlines()[1:]
    assert settings == ['GRAPHROOT="/srv/all images"', 'RUNROOT="/run/images"']
    folder = tmp_path / "etc/systemd/system"
    assert not (folder / "storaged-api@.socket").exists()
    for kind in ("service", "socket"):
        usual, template = ((folder / f"storaged{at}.{kind}").read_text().splitlines()[1:] for at in ("", "@"))
        told = {line.partition("=")[0] for line in set(usual) ^ set(template)}
        assert told <= {
            "Description", "Requires", "After", "RequiresMountsFor", "EnvironmentFile", "ExecStart", "Also",
            "ListenStream", "Sockets", "# Whichever of the two started it.",
        }  # fmt: skip
    assert "ListenStream=%t/storaged/store-%i.sock" in (folder / "storaged@.socket").read_text()


def test_systemd_understands_the_units_of_another_store(short_dir: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze")
    environ = {"HOME": str(short_dir)}
    plan = with_store(make_plan(command="/bin/true", environ=environ, user=True), "/srv/a", None, environ)
    for path, text in plan.files.items():
        put(Path(path), text)
    folder = short_dir / ".config/systemd/user"
    verified = []
    for kind in ("service", "socket"):
        (folder / f"{plan.unit}.{kind}").symlink_to(folder / f"storaged@.{kind}")
        verified.append(str(folder / f"{plan.unit}.{kind}"))
    env = {**os.environ, "XDG_RUNTIME_DIR": str(short_dir), "XDG_CONFIG_HOME": str(short_dir / ".config")}
    done = subprocess.run([analyze, "--user", "verify", *verified], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_an_enabled_instance_provides_its_stores_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/mine")
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    plan = with_store(make_plan(command=COMMAND, environ=environ, user=True), "/srv/a", None, environ)
    for path, text in plan.files.items():
        put(Path(path), text)
    socket = f"/run/mine/storaged/store-{digest('/srv/a')}.sock"
    assert systemd_units.start_command(socket) is None
    wants = tmp_path / "systemd/user/sockets.target.wants"
    wants.mkdir()
    (wants / f"{plan.unit}.socket").symlink_to("../storaged@.socket")
    assert systemd_units.start_command(socket) == f"systemctl --user start {plan.unit}.socket"
    assert systemd_units.restart_command(socket) == f"systemctl --user restart {plan.unit}.service"
    assert systemd_units.start_command("/run/mine/storaged/storaged.sock") is None


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/home/one"}, "/home/one/.config"),
        ({"HOME": "/home/one", "XDG_CONFIG_HOME": "/settings"}, "/settings"),
        ({"HOME": "/home/one", "XDG_CONFIG_HOME": "relative"}, "/home/one/.config"),
    ],
)
def test_a_users_units_are_put_into_the_users_own_folder(environ: dict[str, str], folder: str) -> None:
    plan = make_plan(command=COMMAND, environ=environ, user=True)
    assert [*plan.files] == [f"{folder}/systemd/user/storaged{kind}" for kind in (".service", ".socket", "-api.socket")]


def test_a_package_gets_them_below_its_prefix(tmp_path: Path) -> None:
    plan = make_plan(command=COMMAND, environ={}, root=str(tmp_path), prefix="/usr")
    assert f"{tmp_path}/usr/lib/systemd/system/storaged.socket" in plan.files
    assert f"{tmp_path}/usr/lib/sysusers.d/storaged.conf" in plan.files
    plan = make_plan(command=COMMAND, environ={}, root=str(tmp_path), prefix="/usr", user=True)
    assert f"{tmp_path}/usr/lib/systemd/user-preset/80-storaged.preset" in plan.files


def test_a_second_installation_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(capsys, "--root", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    said = installed(capsys, "--root", str(tmp_path))
    assert said.count(": unchanged\n") == len(before)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_file_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "unit"
    assert put(path, "old\n") == "written"
    assert put(path, "new\n") == "updated"
    assert path.read_text().endswith("\nnew\n")
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("change", ["appended", "somebody else's"])
def test_a_file_changed_here_is_kept_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str) -> None:
    installed(capsys, "--root", str(tmp_path))
    unit = tmp_path / "etc/systemd/system/storaged.service"
    unit.write_text(unit.read_text() + "Nice=5\n" if change == "appended" else "[Service]\nExecStart=/bin/true\n")
    mine = unit.read_text()
    said = installed(capsys, "--root", str(tmp_path), status=1)
    assert f"{unit}: kept: it was changed locally or is not ours; --force" in said
    assert unit.read_text() == mine
    said = installed(capsys, "--root", str(tmp_path), "--force")
    assert (
        f"{unit}: replaced; the old file is kept as storaged.service.old, or .old.1 and so on if that exists\n" in said
    )
    assert unit.with_name("storaged.service.old").read_text() == mine
    assert COMMAND in unit.read_text()


def test_what_was_kept_before_is_kept_when_the_next_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(capsys, "--root", str(tmp_path))
    unit = tmp_path / "etc/systemd/system/storaged.service"
    for nice in ("5", "6", "7"):
        unit.write_text(f"[Service]\nNice={nice}\n")
        installed(capsys, "--root", str(tmp_path), "--force")
    kept = [unit.with_name(f"storaged.service.old{end}").read_text() for end in ("", ".1", ".2")]
    assert [text[-2] for text in kept] == ["5", "6", "7"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_systems_unit_runs_no_command_that_somebody_else_may_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "bin" / "storaged"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    os.chown(command.parent, 65534, 65534)
    monkeypatch.setattr(sys, "argv", [str(command)])
    assert cmd_install_units.main(["--root", str(tmp_path / "root")], os.environ) == 1
    assert f"others may change {command.parent} (uid 65534 owns it)" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: Path, root: Path) -> str:
    """What is said where the running command is this one, and the system's unit is refused to it."""
    monkeypatch.setattr(sys, "argv", [str(command)])
    assert cmd_install_units.main(["--root", str(root)], os.environ) == 1
    assert not root.exists()
    return capsys.readouterr().err


def script(path: Path, first_line: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first_line}\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize(
    "first_line",
    [
        "#!{python}",
        "#! {python} -I",
        "#!/usr/bin/env {python}",
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''",
    ],
)
@pytest.mark.parametrize("of", ["interpreter", "folder", "link's folder"])
def test_a_script_that_runs_by_somebody_elses_interpreter_is_refused_to_the_systems_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], first_line: str, of: str
) -> None:
    python = tmp_path / "env" / "python"
    if of == "link's folder":
        python.parent.mkdir()
        python.symlink_to("/bin/true")
    else:
        script(python, "#!/bin/sh")
    theirs = python if of == "interpreter" else python.parent
    os.chown(theirs, 65534, 65534)
    command = script(tmp_path / "bin" / "storaged", first_line.format(python=python))
    said = refused(capsys, monkeypatch, command, tmp_path / "root")
    assert f"others may change {theirs} (uid 65534 owns it)" in said
    assert cmd_install_units.main(["--root", str(tmp_path / "root"), "--executable", COMMAND], os.environ) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["file", "folder", "interpreter"])
def test_what_a_group_may_write_is_refused_to_the_systems_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    python = script(tmp_path / "env" / "python", "#!/bin/sh")
    command = script(tmp_path / "bin" / "storaged", f"#!{python}")
    theirs = {"file": command, "folder": command.parent, "interpreter": python}[what]
    os.chown(theirs, 0, 50)
    theirs.chmod(0o775)
    said = refused(capsys, monkeypatch, command, tmp_path / "root")
    assert f"others may change {theirs} (group 50 may write it)" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_link_that_somebody_else_may_turn_is_refused_to_the_systems_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "home" / "storaged"
    command.parent.mkdir()
    command.symlink_to(script(tmp_path / "bin" / "storaged", "#!/bin/sh"))
    os.chown(command.parent, 65534, 65534)
    said = refused(capsys, monkeypatch, command, tmp_path / "root")
    assert f"others may change {command.parent} (uid 65534 owns it)" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="what root alone may change")
def test_an_interpreter_that_is_looked_for_when_it_is_run_is_not_roots_alone(tmp_path: Path) -> None:
    found = foreign(str(script(tmp_path / "storaged", "#!/usr/bin/env no-such-python")))
    assert found is not None
    assert "no-such-python" in found.why
    assert foreign(str(script(tmp_path / "other", "#!/usr/bin/env sh"))) is None
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links"):
        foreign(str(loop))


@pytest.mark.parametrize("target", ["{outside}", "../../../../../../../../../..{outside}"])
def test_a_link_out_of_an_image_leads_to_a_place_in_the_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    outside, image = tmp_path / "outside", tmp_path / "image"
    (outside / "system").mkdir(parents=True)
    (image / "etc").mkdir(parents=True)
    link = target.format(outside=outside)
    (image / "etc/systemd").symlink_to(link)
    installed(capsys, "--root", str(image))
    assert [*outside.rglob("*")] == [outside / "system"]
    inside = image / link.replace("../", "").lstrip("./")
    assert sorted(path.name for path in (inside / "system").iterdir()) == [
        "storaged-api.socket",
        "storaged.service",
        "storaged.socket",
    ]
    assert "written" not in installed(capsys, "--root", str(image))


def test_a_root_that_is_itself_reached_by_a_link_is_a_root_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "image")
    installed(capsys, "--root", str(tmp_path / "link"))
    assert (tmp_path / "image/etc/systemd/system/storaged.service").is_file()


def test_links_without_an_end_in_an_image_are_an_error_that_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "etc").symlink_to("etc")
    assert cmd_install_units.main(["--executable", COMMAND, "--root", str(tmp_path)], {}) == 1
    assert f"storaged: {tmp_path}/etc/systemd/system/storaged.service: Too many" in capsys.readouterr().err


def test_what_is_no_file_in_a_units_place_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = tmp_path / "etc/systemd/system/storaged.service"
    unit.parent.mkdir(parents=True)
    os.mkfifo(unit)
    assert f"{unit}: kept" in installed(capsys, "--root", str(tmp_path), "--force", status=1)


def test_a_masked_unit_stays_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = tmp_path / "etc/systemd/system/storaged.service"
    unit.parent.mkdir(parents=True)
    unit.symlink_to("/dev/null")
    assert f"{unit}: kept" in installed(capsys, "--root", str(tmp_path), "--force", status=1)
    assert os.readlink(unit) == "/dev/null"


def test_what_to_run_next_makes_the_group_before_the_socket_that_needs_it() -> None:
    plan = make_plan(command=COMMAND, environ={})
    steps = [step.partition("  ")[0] for step in unit_plan.next_steps(plan, dict.fromkeys(plan.files, "written"))]
    assert steps == [
        "systemd-sysusers storaged.conf",
        "systemd-tmpfiles --create storaged.conf",
        "systemctl daemon-reload",
        "systemctl enable --now storaged.socket storaged-api.socket",
    ]


def test_what_to_run_next_for_a_user_speaks_to_the_users_manager() -> None:
    plan = make_plan(command=COMMAND, environ={"HOME": "/home/one"}, user=True)
    steps = unit_plan.next_steps(plan, dict.fromkeys(plan.files, "updated"))
    assert steps[:3] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now storaged.socket storaged-api.socket",
        "systemctl --user try-restart storaged.service",
    ]


def test_a_socket_that_joins_units_of_before_waits_until_the_service_is_stopped() -> None:
    plan = make_plan(command=COMMAND, environ={})
    joined = dict.fromkeys(plan.files, "unchanged") | {"/etc/systemd/system/storaged-api.socket": "written"}
    steps = [step.partition("  ")[0] for step in unit_plan.next_steps(plan, joined)]
    assert steps[-3:] == [
        "systemctl daemon-reload",
        "systemctl stop storaged.service",
        "systemctl enable --now storaged.socket storaged-api.socket",
    ]


@pytest.mark.parametrize("command", ["storaged", "./storaged", '/a"b', "/a$b", "/a\nb", "/a\\b", "/it's"])
def test_a_command_that_a_unit_cannot_have_is_refused(command: str) -> None:
    with pytest.raises(InstallError):
        make_plan(command=command, environ={})


@pytest.mark.parametrize("command", ["/tmp/env/bin/storaged", "/var/tmp/env/bin/storaged"])
def test_a_command_that_the_systems_unit_would_not_see_is_refused_and_a_users_would_see_it(command: str) -> None:
    with pytest.raises(InstallError, match="hidden"):
        make_plan(command=command, environ={})
    assert make_plan(command=command, environ={"HOME": "/home/one"}, user=True).files


def test_a_command_with_a_space_or_a_percent_sign_is_one_word_of_the_unit(tmp_path: Path, short_dir: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze")
    command = tmp_path / "a 100% place" / "storaged"
    command.parent.mkdir()
    command.symlink_to("/bin/true")
    plan = make_plan(command=str(command), environ={"HOME": str(tmp_path)}, user=True)
    for path, text in plan.files.items():
        put(Path(path), text)
    units = [path for path in plan.files if path.endswith((".service", ".socket"))]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(short_dir)}
    done = subprocess.run([analyze, "--user", "verify", *units], capture_output=True, text=True, env=environ)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_command_is_found_beside_this_python_however_it_was_invoked() -> None:
    found = executable(str(ROOT / "storaged" / "__main__.py"))
    assert (os.path.basename(found), os.path.isabs(found)) == ("storaged", True)
    assert found == executable(found)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("no folder")
    done = subprocess.run(
        [sys.executable, "-m", "storaged", "install-units", "--executable", COMMAND, "--root", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(rf"storaged: {tmp_path}/etc\S*: [^\n]+\n", done.stderr)
