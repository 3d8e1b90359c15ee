from __future__ import annotations

import os
from pathlib import Path

import pytest

from storaged.errors import ConfigError
from storaged.store.config import discover
from storaged.store.tables import StoreLocation
from storaged_client.storage_conf.release import NEW, OLD

UID = 1000


class Machine:
    """A root folder with configuration files, and who asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home" / "u"
        self.home.mkdir(parents=True)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def find(
        self,
        uid: int = 0,
        *,
        root: str | None = None,
        driver: str | None = None,
        options: tuple[str, ...] = (),
        rules: str = OLD,
        **env: str,
    ) -> StoreLocation:
        environ = {"HOME": str(self.home), **env}
        return discover(environ, uid, root, None, driver, options, rules=rules, system_root=str(self.root))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_any_file_the_defaults_are_upstreams(machine: Machine) -> None:
    location = machine.find()
    assert location.graphroot == str(machine.root / "var/lib/containers/storage")
    assert location.runroot == str(machine.root / "run/containers/storage")
    assert (location.driver, location.config_file, location.additional) == ("overlay", None, ())
    user = machine.find(UID, XDG_RUNTIME_DIR="/run/user/1000")
    assert user.graphroot == str(machine.home / ".local/share/containers/storage")
    assert user.runroot == "/run/user/1000/containers"
    assert machine.find(UID, XDG_DATA_HOME="/data").graphroot == "/data/containers/storage"


def test_a_user_without_runtime_dir_gets_run_user_or_a_folder_in_tmp(machine: Machine) -> None:
    assert machine.find(UID).runroot == "/tmp/storage-run-1000/containers"
    assert machine.find(UID, TMPDIR="/var/tmp").runroot == "/var/tmp/storage-run-1000/containers"
    owned = os.getuid() or UID
    (machine.root / "run/user" / str(owned)).mkdir(parents=True)
    if os.getuid() == 0:
        os.chown(machine.root / "run/user" / str(owned), owned, owned)
    assert machine.find(owned).runroot == str(machine.root / "run/user" / str(owned) / "containers")


def test_the_first_main_file_wins_and_is_not_merged_with_others(machine: Machine) -> None:
    machine.write("usr/share/containers/storage.conf", '[storage]\ndriver = "vfs"\nrunroot = "/shared/run"\n')
    assert machine.find().driver == "vfs"
    etc = machine.write("etc/containers/storage.conf", '[storage]\ngraphroot = "/etc/graph"\n')
    location = machine.find()
    assert (location.graphroot, location.driver, location.config_file) == ("/etc/graph", "overlay", str(etc))
    assert location.runroot == str(machine.root / "run/containers/storage")
    machine.write("xdg/containers/storage.conf", '[storage]\ngraphroot = "/xdg/graph"\n')
    assert machine.find(XDG_CONFIG_HOME=str(machine.root / "xdg")).graphroot == "/xdg/graph"
    named = machine.write("named.conf", '[storage]\ngraphroot = "/named/graph"\n')
    both = machine.find(XDG_CONFIG_HOME=str(machine.root / "xdg"), CONTAINERS_STORAGE_CONF=str(named))
    assert both.graphroot == "/named/graph"


def test_a_users_file_counts_for_the_user_and_not_for_root(machine: Machine) -> None:
    machine.write("home/u/.config/containers/storage.conf", '[storage]\ngraphroot = "$HOME/g-$UID"\n')
    assert machine.find(UID).graphroot == str(machine.home / "g-1000")
    assert machine.find().graphroot == str(machine.root / "var/lib/containers/storage")


def test_of_a_system_file_a_user_takes_driver_and_rootless_path_only(machine: Machine) -> None:
    machine.write(
        "etc/containers/storage.conf",
        '[storage]\ndriver = "vfs"\ngraphroot = "/g"\nrunroot = "/r"\nrootless_storage_path = "/users/$UID/${HOME}"\n'
        '[storage.options]\nadditionalimagestores = ["/ro"]\n',
    )
    location = machine.find(UID, XDG_RUNTIME_DIR="/x")
    assert location.graphroot == os.path.realpath(f"/users/1000/{machine.home}")
    assert (location.driver, location.runroot, location.additional) == ("vfs", "/x/containers", ())
    assert machine.find().additional == ("/ro",)


def test_from_1_63_on_a_system_file_binds_a_user_whole(machine: Machine, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    machine.write(
        "etc/containers/storage.conf",
        f'[storage]\ndriver = "vfs"\ngraphroot = "{shared}/$UID"\nrunroot = "/r"\n'
        'rootless_storage_path = "/users/$UID"\n[storage.options]\nadditionalimagestores = ["/ro"]\n',
    )
    old, new = machine.find(UID, XDG_RUNTIME_DIR="/x"), machine.find(UID, rules=NEW, XDG_RUNTIME_DIR="/x")
    assert (old.graphroot, old.runroot, old.additional) == ("/users/1000", "/x/containers", ())
    assert (new.graphroot, new.runroot, new.additional) == (f"{shared}/1000", "/r", ("/ro",))
    machine.write("etc/containers/storage.conf", '[storage]\nrootless_storage_path = "/users/$UID"\n')
    assert machine.find(UID, rules=NEW).graphroot == "/users/1000"


def test_both_answers_are_told_where_releases_differ(machine: Machine) -> None:
    machine.write("etc/containers/storage.conf", '[storage]\ngraphroot = "$HOME/all"\n')
    own, every = f"{machine.home}/.local/share/containers/storage", f"{machine.home}/all"
    told = machine.find(UID)
    assert (told.alternatives, told.chosen_by) == (
        (("1.62", own), ("1.63", every)),
        f"storage_rules of {machine.home}/.config/storaged/storaged.toml",
    )
    assert machine.find().alternatives == machine.find(UID, root="/x").alternatives == ()


def test_before_1_63_drop_ins_and_the_override_are_not_read(machine: Machine) -> None:
    machine.write("etc/containers/storage.conf.d/a.conf", '[storage]\ndriver = "zfs"\n')
    over = machine.write("over", '[storage]\ngraphroot = "/over"\n')
    for uid in (0, UID):
        old = machine.find(uid, CONTAINERS_STORAGE_CONF_OVERRIDE=str(over))
        assert (old.driver, old.graphroot) == ("overlay", machine.find(uid).graphroot)
    new = machine.find(rules=NEW, CONTAINERS_STORAGE_CONF_OVERRIDE=str(over))
    assert (new.driver, new.graphroot) == ("zfs", "/over")


def test_drop_ins_apply_by_file_name_and_the_nearer_folder_masks_the_farther(machine: Machine) -> None:
    machine.write("etc/containers/storage.conf", '[storage]\ndriver = "btrfs"\n')
    machine.write("usr/share/containers/storage.conf.d/10.conf", '[storage]\ndriver = "zfs"\nrunroot = "/r10"\n')
    machine.write("etc/containers/storage.conf.d/10.conf", '[storage]\ndriver = "overlay2"\n')
    machine.write("etc/containers/storage.rootful.conf.d/20.conf", '[storage]\ngraphroot = "/g20"\n')
    machine.write("etc/containers/storage.rootless.conf.d/30.conf", f'[storage]\ngraphroot = "{machine.root}/g30"\n')
    machine.write("etc/containers/storage.rootless.conf.d/1000/40.conf", '[storage]\nrunroot = "/r40"\n')
    machine.write("etc/containers/storage.conf.d/ignored.txt", "no TOML at all")
    (machine.root / "etc/containers/storage.conf.d/folder.conf").mkdir()
    root = machine.find(rules=NEW)
    assert (root.driver, root.graphroot) == ("overlay", "/g20")
    assert root.runroot == str(machine.root / "run/containers/storage")
    user = machine.find(UID, rules=NEW)
    assert (user.graphroot, user.runroot) == (f"{machine.root}/g30", "/r40")
    assert machine.find(2000, rules=NEW, XDG_RUNTIME_DIR="/x").runroot == "/x/containers"


def test_linked_drop_ins_are_read(machine: Machine) -> None:
    target = machine.write("elsewhere", '[storage]\ngraphroot = "/linked"\n')
    machine.write("etc/containers/storage.conf.d/a.conf", "")
    (machine.root / "etc/containers/storage.conf.d/b.conf").symlink_to(target)
    assert machine.find(rules=NEW).graphroot == "/linked"


def test_a_named_file_switches_drop_ins_off_and_the_override_comes_last(machine: Machine) -> None:
    machine.write("etc/containers/storage.conf.d/a.conf", '[storage]\ndriver = "zfs"\n')
    named = machine.write("named", '[storage]\ngraphroot = "/n"\n')
    override = machine.write("over", '[storage]\ndriver = "vfs"\n')
    location = machine.find(
        rules=NEW, CONTAINERS_STORAGE_CONF=str(named), CONTAINERS_STORAGE_CONF_OVERRIDE=str(override)
    )
    assert (location.graphroot, location.driver) == ("/n", "vfs")
    assert machine.find(rules=NEW, CONTAINERS_STORAGE_CONF=str(named)).driver == "overlay"


def test_additional_stores_come_from_the_file_or_from_storage_opts(machine: Machine) -> None:
    machine.write(
        "etc/containers/storage.conf",
        '[storage]\ndriver = "vfs"\n[storage.options]\nadditionalimagestores = ["/a", "/b", "/a", ""]\n',
    )
    assert machine.find().additional == ("/a", "/b")
    assert machine.find(STORAGE_OPTS="vfs.imagestore=/c,imagestore=/d,vfs.mountopt=x").additional == ("/c", "/d")
    assert machine.find(STORAGE_OPTS="").additional == ()
    machine.write("etc/containers/storage.conf.d/x.conf", '[storage.options]\nadditionalimagestores = ["/e"]\n')
    assert machine.find(rules=NEW).additional == ("/e",)
    machine.write(
        "etc/containers/storage.conf.d/x.conf",
        '[storage.options]\nadditionalimagestores = ["/e", {append = true}]\n',
    )
    assert machine.find(rules=NEW).additional == ("/a", "/b", "/e")
    assert machine.find(options=("overlay.imagestore=/f",), STORAGE_OPTS="imagestore=/g").additional == ("/f",)


def test_flags_win_and_leave_additional_stores_out(machine: Machine) -> None:
    machine.write(
        "etc/containers/storage.conf",
        '[storage]\ndriver = "vfs"\nrunroot = "/r"\nimagestore = "/i"\n'
        '[storage.options]\nadditionalimagestores = ["/a"]\n',
    )
    assert machine.find().image_store == "/i"
    for location in (machine.find(root="/other"), machine.find(driver="overlay")):
        assert (location.additional, location.image_store, location.runroot) == ((), None, "/r")
    assert machine.find(root="/other").graphroot == "/other"
    assert machine.find(driver="overlay2", STORAGE_DRIVER="zfs").driver == "overlay"
    assert machine.find(STORAGE_DRIVER="zfs").driver == "zfs"


def test_an_unset_driver_is_the_one_whose_state_is_there(machine: Machine) -> None:
    graph = machine.root / "var/lib/containers/storage"
    (graph / "vfs").mkdir(parents=True)
    assert machine.find().driver == "overlay"
    (graph / "btrfs").mkdir()
    assert machine.find().driver == "btrfs"
    (graph / "overlay").mkdir()
    with pytest.raises(ConfigError, match="overlay, btrfs"):
        machine.find()
    assert machine.find(driver="btrfs").driver == "btrfs"


def test_a_store_with_vfs_images_alone_is_a_vfs_store(machine: Machine) -> None:
    (machine.root / "s" / "vfs-images").mkdir(parents=True)
    assert machine.find(root=str(machine.root / "s")).driver == "vfs"


def test_vfs_counts_as_prior_state_where_the_priority_lists_it(machine: Machine) -> None:
    (machine.root / "var/lib/containers/storage/vfs").mkdir(parents=True)
    machine.write("etc/containers/storage.conf", '[storage]\ndriver_priority = ["btrfs", "vfs"]\n')
    assert machine.find().driver == "vfs"


def test_transient_and_split_stores_are_told(machine: Machine) -> None:
    machine.write("etc/containers/storage.conf", '[storage]\ntransient_store = true\nimagestore = "/i"\n')
    location = machine.find()
    assert (location.transient, location.image_store) == (True, "/i")


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("[storage]\ndriver = 5\n", "storage.driver", 2),
        ("[storage]\n\ngraphroot = ['a']\n", "storage.graphroot", 3),
        ("storage = 5\n", "storage", 1),
        ("[storage]\ntransient_store = 'yes'\n", "storage.transient_store", 2),
        ("[storage.options]\nadditionalimagestores = 'a'\n", "storage.options.additionalimagestores", 2),
        ("[storage.options]\nadditionalimagestores = [1]\n", "storage.options.additionalimagestores", 2),
        ("[storage]\ngraphroot = '/g'\nimagestore = '/g'\n", "storage.imagestore", None),
        ("[storage]\ndriver = \n", None, 2),
        ("[storage\n", None, 1),
        ("x = " + "9" * 5000, None, None),
        ("x = 2026-13-45\n", None, 1),
        ("x = " + "[" * 100_000, None, None),
        ('[storage]\ngraphroot = "/a\\u0000b"\n', "storage.graphroot", 2),
        ('[storage.options]\nadditionalimagestores = ["/a\\u0000b"]\n', "storage.options.additionalimagestores", 2),
    ],
)
def test_a_wrong_file_is_named_with_key_and_line(
    machine: Machine, text: str, key: str | None, line: int | None
) -> None:
    path = machine.write("etc/containers/storage.conf", text)
    with pytest.raises(ConfigError) as caught:
        machine.find()
    assert caught.value.data == {"file": str(path), "key": key, "line": line}


def test_bytes_that_are_no_text_and_files_that_are_missing_are_named(machine: Machine) -> None:
    path = machine.write("etc/containers/storage.conf", "")
    path.write_bytes(b"[storage]\n# \xff\n")
    with pytest.raises(ConfigError) as caught:
        machine.find()
    assert caught.value.data["line"] == 2
    for variable in ("CONTAINERS_STORAGE_CONF", "CONTAINERS_STORAGE_CONF_OVERRIDE"):
        path.unlink(missing_ok=True)
        with pytest.raises(ConfigError, match=variable):
            discover({variable: str(machine.root / "none")}, 0, system_root=str(machine.root))


def test_unknown_keys_are_left_alone(machine: Machine) -> None:
    machine.write("etc/containers/storage.conf", '[storage]\nfuture = 1\n[storage.options.overlay]\nmountopt = "x"\n')
    assert machine.find().driver == "overlay"


def test_inside_podmans_user_namespace_the_users_own_store_is_meant(machine: Machine) -> None:
    env = {"_CONTAINERS_USERNS_CONFIGURED": "done", "_CONTAINERS_ROOTLESS_UID": "1000", "XDG_RUNTIME_DIR": "/x"}
    assert machine.find(0, **env).graphroot == str(machine.home / ".local/share/containers/storage")


def test_the_fingerprint_changes_with_what_led_here(machine: Machine) -> None:
    path = machine.write("etc/containers/storage.conf", '[storage]\ndriver = "vfs"\n')
    first = machine.find().fingerprint
    assert machine.find().fingerprint == first
    path.write_text('[storage]\ndriver = "vfs" \n')
    second = machine.find().fingerprint
    assert second != first
    assert machine.find(driver="vfs").fingerprint != second
