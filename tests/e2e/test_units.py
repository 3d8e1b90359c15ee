"""The unit files, as they are installed: nothing for systemd to complain of, confined as far as the work allows."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from storaged.managed_file import put
from storaged.unit_plan import make_plan

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "storaged" / "units"


def program(name: str) -> str:
    """Where a program of systemd is; a missing one skips the test, or fails it where CI wants it."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
            pytest.fail(f"{name} is missing: apt-get install systemd")
        pytest.skip(f"{name} is missing: apt-get install systemd")
    return found


def said_by(*command: str, **environ: str) -> str:
    """All that a command says, and its status where it is not 0."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ})
    return done.stdout + done.stderr + (f"exit {done.returncode}" if done.returncode else "")


def installed(folder: Path, *, user: bool) -> dict[str, Path]:
    """The files by their names, put below a root of their own; the command is one that is there."""
    command = "/usr/bin/true"
    plan = make_plan(command=command, environ={"HOME": "/home"}, root=str(folder), user=user)
    for path, text in plan.files.items():
        put(Path(path), text)
    return {os.path.basename(path): Path(path) for path in plan.files}


@pytest.mark.parametrize("kind", ["system", "user"])
def test_verify_has_nothing_to_say_about_the_units(short_dir: Path, kind: str) -> None:
    files = installed(short_dir, user=kind == "user")
    # It exits 0 for most of what it finds: any word is a finding.
    units = [str(path) for name, path in files.items() if name.endswith((".service", ".socket"))]
    assert said_by(program("systemd-analyze"), f"--{kind}", "verify", *units, XDG_RUNTIME_DIR=str(short_dir)) == ""


@pytest.mark.parametrize("unit", ["storaged.service", "storaged.socket"])
def test_verify_has_nothing_to_say_about_the_units_with_their_example_of_local_settings(
    short_dir: Path, unit: str
) -> None:
    files = installed(short_dir, user=False)
    example = (SHIPPED / "examples" / f"{unit}.d" / "local.conf").read_text()
    drop_in = files[unit].with_name(f"{unit}.d") / "local.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(example.replace("/usr/bin/storaged", "/usr/bin/true"))
    units = [str(path) for name, path in files.items() if name.endswith((".service", ".socket"))]
    assert said_by(program("systemd-analyze"), "verify", *units) == ""
    # That it was read at all: what is no setting is complained of.
    drop_in.write_text(example + "NoSuchSetting=1\n")
    assert "NoSuchSetting" in said_by(program("systemd-analyze"), "verify", *units)


def test_the_system_unit_is_confined(short_dir: Path) -> None:
    unit = str(installed(short_dir, user=False)["storaged.service"])
    # In tenths: an exposure above 2.0 is a failure.
    said = said_by(program("systemd-analyze"), "security", "--offline=true", "--threshold=20", unit)
    assert "Overall exposure level" in said
    assert "exit " not in said, said[-300:]


def test_the_preset_enables_the_socket_and_not_the_service(short_dir: Path) -> None:
    installed(short_dir, user=False)
    wants = short_dir / "etc/systemd/system"
    said_by(program("systemctl"), f"--root={short_dir}", "preset", "storaged.socket")
    assert (wants / "sockets.target.wants/storaged.socket").is_symlink()
    assert not (wants / "multi-user.target.wants").exists()


def settings_of(unit: Path) -> dict[str, str]:
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_user_unit_sets_nothing_that_may_imply_no_new_privileges_or_private_users() -> None:
    # By name: which settings imply one of the two has grown with each release of systemd.
    harmless = {"Description", "Requires", "After", "Type", "ExecStart", "ExecReload", "Restart"}
    harmless |= {"RestartPreventExitStatus", "WatchdogSec", "TimeoutStopSec", "UMask", "Also", "WantedBy"}
    harmless |= {"Sockets", "RestartSec", "StartLimitIntervalSec", "MemoryHigh", "MemoryMax", "LogRateLimitIntervalSec"}
    assert settings_of(SHIPPED / "user/storaged.service").keys() <= harmless


def test_the_system_unit_hides_no_process_and_no_store() -> None:
    settings = settings_of(SHIPPED / "storaged.service")
    for key in ("ProtectProc", "ProcSubset", "ProtectHome", "PrivateUsers", "DynamicUser", "ReadOnlyPaths"):
        assert key not in settings
    assert settings["ProtectSystem"] != "strict"


@pytest.mark.parametrize("folder", ["", "user"])
@pytest.mark.parametrize(("unit", "name"), [("storaged.socket", "storaged"), ("storaged-api.socket", "api")])
def test_the_socket_is_named_and_closed_to_others(folder: str, unit: str, name: str) -> None:
    settings = settings_of(SHIPPED / folder / unit)
    assert settings["FileDescriptorName"] == unit.removesuffix(".socket")
    assert settings["ListenStream"] == f"%t/storaged/{name}.sock"
    assert int(settings["SocketMode"], 8) & 0o007 == 0
    assert int(settings["DirectoryMode"], 8) & 0o007 == 0
