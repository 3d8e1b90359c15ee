from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from storaged.store.registries import Registries, RegistriesWatch, discover
from tests.support.files import FaultyFiles

UID = 1000
MAIN = "etc/containers/registries.conf"
DROP_INS = "etc/containers/registries.conf.d"
USER = "home/u/.config/containers/registries.conf"
CACHE = "var/cache/containers/short-name-aliases.conf"
DEEP = "[" * 5000


class Machine:
    """A root folder with configuration files, and who asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {"HOME": str(root / "home/u")}

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def find(self, uid: int = 0, **env: str) -> Registries:
        return discover({**self.env, **env}, uid, system_root=str(self.root))

    def flaw(self, **env: str) -> Mapping[str, object]:
        """The evidence of the only file that cannot be used."""
        (error,) = self.find(**env).broken
        return error.data


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def search(*hosts: str) -> str:
    return f"unqualified-search-registries = {list(hosts)}\n"


def test_without_any_file_a_short_name_is_localhosts(machine: Machine) -> None:
    found = machine.find()
    assert (found.files, found.broken, found.search) == ((), (), ())
    assert found.candidates("a/b") == ("localhost/a/b",)


def test_an_alias_comes_first_then_localhost_then_each_registry(machine: Machine) -> None:
    machine.write(MAIN, search("b.io", "a.io:5000") + '[aliases]\n"app" = "q.io/x/app"\n')
    found = machine.find()
    assert found.candidates("app") == ("q.io/x/app", "localhost/app", "b.io/app", "a.io:5000/app")
    assert found.candidates("x/app") == ("localhost/x/app", "b.io/x/app", "a.io:5000/x/app")


def test_each_candidate_is_tried_once_where_it_comes_first(machine: Machine) -> None:
    machine.write(MAIN, search("b.io", "localhost", "b.io/", "docker.io") + '[aliases]\n"app" = "docker.io/app"\n')
    assert machine.find().candidates("app") == ("docker.io/library/app", "localhost/app", "b.io/app")


@pytest.mark.parametrize(
    ("host", "name", "full"),
    [
        ("docker.io", "app", "docker.io/library/app"),
        ("docker.io", "x/app", "docker.io/x/app"),
        ("index.docker.io", "app", "docker.io/library/app"),
        ("quay.io/", "app", "quay.io/app"),
        ("host:5000", "app", "host:5000/app"),
        ("team", "app", "docker.io/team/app"),
    ],
)
def test_a_registry_is_put_before_a_name_as_docker_reads_it(machine: Machine, host: str, name: str, full: str) -> None:
    machine.write(MAIN, search(host))
    assert machine.find().candidates(name)[-1] == full


def test_drop_ins_apply_by_folder_and_name_and_later_ones_win(machine: Machine) -> None:
    machine.write(MAIN, search("main.io") + '[aliases]\n"a" = "m.io/a"\n"b" = "m.io/b"\n"c" = "m.io/c"\n')
    machine.write(f"{DROP_INS}/20.conf", search("sys20.io") + '[aliases]\n"a" = "s20.io/a"\n"b" = ""\n')
    machine.write(f"{DROP_INS}/10.conf", search("sys10.io") + '[aliases]\n"a" = "s10.io/a"\n')
    machine.write(f"{USER}.d/00.conf", '[aliases]\n"c" = "u.io/c"\n')
    machine.write(f"{DROP_INS}/30.txt", "no TOML at all")
    machine.write(f"{DROP_INS}/40.conf/inner.conf", "no TOML at all")
    found = machine.find()
    assert found.search == ("sys20.io",)
    assert found.aliases == {"a": "s20.io/a", "c": "u.io/c"}
    assert [os.path.basename(path) for path in found.files] == ["registries.conf", "10.conf", "20.conf", "00.conf"]


def test_an_empty_list_of_registries_replaces_and_a_missing_one_does_not(machine: Machine) -> None:
    machine.write(MAIN, search("main.io"))
    machine.write(f"{DROP_INS}/1.conf", "[aliases]\n")
    assert machine.find().search == ("main.io",)
    machine.write(f"{DROP_INS}/2.conf", search())
    assert machine.find().search == ()


def test_a_users_file_hides_all_of_the_system_for_root_too(machine: Machine) -> None:
    machine.write(MAIN, search("main.io"))
    machine.write(f"{DROP_INS}/1.conf", '[aliases]\n"a" = "s.io/a"\n')
    machine.write(USER, search("user.io"))
    for uid in (0, UID):
        found = machine.find(uid)
        assert (found.search, found.aliases) == (("user.io",), {})


def test_a_named_file_replaces_the_main_file_but_no_drop_in(machine: Machine) -> None:
    machine.write(MAIN, search("main.io"))
    machine.write(USER, search("user.io"))
    machine.write(f"{DROP_INS}/1.conf", '[aliases]\n"a" = "s.io/a"\n')
    named, old = machine.write("named", search("named.io")), machine.write("old", search("old.io"))
    found = machine.find(CONTAINERS_REGISTRIES_CONF=str(named), REGISTRIES_CONFIG_PATH=str(old))
    assert (found.search, found.aliases) == (("named.io",), {"a": "s.io/a"})
    assert machine.find(REGISTRIES_CONFIG_PATH=str(old)).search == ("old.io",)
    assert machine.find(CONTAINERS_REGISTRIES_CONF="", REGISTRIES_CONFIG_PATH=str(old)).search == ("user.io",)


def test_the_cache_of_aliases_wins_and_lies_elsewhere_for_a_user(machine: Machine) -> None:
    machine.write(MAIN, '[aliases]\n"a" = "m.io/a"\n"b" = "m.io/b"\n')
    machine.write(CACHE, search("ignored.io") + '[aliases]\n"a" = "root.io/a"\n"b" = ""\n')
    machine.write("home/u/.cache/containers/short-name-aliases.conf", '[aliases]\n"a" = "user.io/a"\n')
    machine.write("xdg/containers/short-name-aliases.conf", '[aliases]\n"a" = "xdg.io/a"\n')
    xdg = str(machine.root / "xdg")
    root = machine.find(XDG_CACHE_HOME=xdg)
    assert (root.aliases, root.search) == ({"a": "root.io/a"}, ())
    assert machine.find(UID).aliases["a"] == "user.io/a"
    assert machine.find(UID, XDG_CACHE_HOME=xdg).aliases["a"] == "xdg.io/a"
    inside = machine.find(0, _CONTAINERS_ROOTLESS_UID="1000")
    assert inside.aliases["a"] == "user.io/a"


def test_without_home_and_without_a_known_user_only_the_system_counts(machine: Machine) -> None:
    machine.write(MAIN, search("main.io"))
    nobody = discover({}, 2**31 - 7, system_root=str(machine.root))
    assert (nobody.search, nobody.broken) == (("main.io",), ())


def test_version_1_counts_in_the_main_file(machine: Machine) -> None:
    machine.write(MAIN, '[registries.search]\nregistries = ["one.io", "two.io"]\n[registries.block]\nregistries = []\n')
    assert machine.find().search == ("one.io", "two.io")


def test_what_governs_pulls_is_passed_over(machine: Machine) -> None:
    machine.write(
        MAIN, search("a.io") + 'short-name-mode = "no such"\nfuture = 1\n[[registry]]\nlocation = "http://wrong"\n'
    )
    found = machine.find()
    assert (found.search, found.broken) == (("a.io",), ())


def test_keys_count_in_any_case_of_letters(machine: Machine) -> None:
    machine.write(MAIN, 'Unqualified-Search-Registries = ["a.io"]\n[Aliases]\n"x" = "a.io/x"\n')
    assert (machine.find().search, machine.find().aliases) == (("a.io",), {"x": "a.io/x"})


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("\nx = \n", None, 2),
        (b"# fine\n# \xff\n", None, 2),
        ("x = " + DEEP, None, None),
        ("x = " + "9" * 5000, None, None),
        (
            '# unqualified-search-registries\nunqualified-search-registries = "a.io"\n',
            "unqualified-search-registries",
            2,
        ),
        ("unqualified-search-registries = [1]\n", "unqualified-search-registries", 1),
        ('\nunqualified-search-registries = [\n"a.io",\n"b.io/x"]\n', "unqualified-search-registries", 4),
        ('unqualified-search-registries = [""]\n', "unqualified-search-registries", 1),
        ('unqualified-search-registries = ["https://a.io"]\n', "unqualified-search-registries", 1),
        ('[aliases]\n"ab" = "a.io/x"\n"b" = 1\n', "aliases.b", 3),
        ('[aliases]\n"ab" = "a.io/x"\n"b" = "a.io/x:1"\n', "aliases.b", 3),
        ('[aliases]\n"b" = "x/y"\n', "aliases.b", 2),
        ('[aliases]\n"a.io/b" = "a.io/c"\n', "aliases.a.io/b", 2),
        ('[aliases]\n"b:1" = "a.io/c"\n', "aliases.b:1", 2),
        ('[aliases]\n"B" = ""\n', "aliases.B", 2),
        ("registries = 1\n", "registries", 1),
        ("[registries]\nsearch = 1\n", "registries.search", 2),
        ('[registries.search]\nregistries = ["a/b"]\n', "registries.search.registries", 2),
        ('short-name-mode = "x"\n[registries.search]\nregistries = []\n', "registries", 2),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_line_and_the_rest_serves(
    machine: Machine, text: str | bytes, key: str | None, line: int | None
) -> None:
    path = machine.write(MAIN, text)
    machine.write(f"{DROP_INS}/1.conf", search("rest.io"))
    evidence = machine.flaw()
    assert (evidence["file"], evidence["key"]) == (str(path), key)
    if line is not None:
        assert evidence["line"] == line
    assert machine.find().search == ("rest.io",)


def test_a_drop_in_may_not_be_of_version_1(machine: Machine) -> None:
    machine.write(MAIN, search("main.io"))
    path = machine.write(f"{DROP_INS}/1.conf", '[registries.search]\nregistries = ["a.io"]\n')
    assert machine.flaw() == {"file": str(path), "key": "registries", "line": 1}
    assert machine.find().search == ("main.io",)


def test_a_named_file_that_is_missing_is_told(machine: Machine) -> None:
    machine.write(f"{DROP_INS}/1.conf", search("rest.io"))
    missing = str(machine.root / "none")
    found = machine.find(REGISTRIES_CONFIG_PATH=missing)
    assert found.broken[0].data == {"file": missing, "key": "REGISTRIES_CONFIG_PATH", "line": None}
    assert found.search == ("rest.io",)


def test_what_is_no_file_never_blocks_and_is_told(machine: Machine) -> None:
    machine.write(MAIN, search("main.io"))
    folder = machine.root / DROP_INS
    folder.mkdir()
    os.mkfifo(folder / "1.conf")
    (folder / "2.conf").symlink_to(".")
    (folder / "3.conf").symlink_to("nothing")
    machine.write(f"{DROP_INS}/4.conf", b"#" * (1 << 20) + b"\n")
    found = machine.find()
    assert [os.path.basename(error.data["file"]) for error in found.broken] == ["1.conf", "2.conf", "4.conf"]
    assert found.search == ("main.io",)


def test_a_folder_of_drop_ins_that_is_a_link_is_not_read(machine: Machine) -> None:
    machine.write("elsewhere/1.conf", search("linked.io"))
    machine.write(MAIN, search("main.io"))
    (machine.root / DROP_INS).symlink_to(machine.root / "elsewhere")
    assert machine.find().search == ("main.io",)


def test_the_fingerprint_follows_every_byte_and_every_flaw(machine: Machine) -> None:
    prints = [machine.find().fingerprint]
    for path, text in ((MAIN, ""), (MAIN, "# note\n"), (f"{DROP_INS}/1.conf", "x = \n"), (CACHE, "")):
        machine.write(path, text)
        prints.append(machine.find().fingerprint)
        assert machine.find().fingerprint == prints[-1]
    assert len(set(prints)) == len(prints)


# ---------------------------------------------------------------- the watch


class Watched:
    """A watch whose clock stands still unless told."""

    def __init__(self, machine: Machine) -> None:
        self.files = FaultyFiles("stat open")
        self.now = 0.0
        self.watch = RegistriesWatch(
            machine.env, UID, system_root=str(machine.root), files=self.files, clock=lambda: self.now
        )

    def later(self) -> Registries:
        self.now += 1.0
        return self.watch.current()


def test_between_two_looks_nothing_touches_the_disk(machine: Machine) -> None:
    machine.write(MAIN, search("a.io"))
    watched = Watched(machine)
    assert watched.watch.candidates("x")[-1] == "a.io/x"
    before = len(watched.files.calls)
    machine.write(MAIN, search("bb.io"))
    watched.now += 0.9
    assert watched.watch.candidates("x")[-1] == "a.io/x"
    assert len(watched.files.calls) == before
    assert watched.later().search == ("bb.io",)


def test_a_look_at_unchanged_files_opens_none_and_keeps_the_value(machine: Machine) -> None:
    machine.write(MAIN, search("a.io"))
    for number in range(3):
        machine.write(f"{DROP_INS}/{number}.conf", "")
    watched = Watched(machine)
    first = watched.watch.current()
    before = len(watched.files.calls)
    assert watched.later() is first
    # Both main files, the cache, two folders, three drop-ins.
    assert [call.name for call in watched.files.calls[before:]] == ["stat"] * 8


@pytest.mark.parametrize(
    "path",
    [
        MAIN,
        USER,
        f"{DROP_INS}/new.conf",
        f"{USER}.d/new.conf",
        "home/u/.cache/containers/short-name-aliases.conf",
    ],
)
def test_a_file_that_comes_changes_or_goes_is_seen_at_the_next_look(machine: Machine, path: str) -> None:
    watched = Watched(machine)
    assert watched.watch.current().aliases == {}
    file = machine.write(path, '[aliases]\n"x" = "a.io/x"\n')
    assert watched.later().aliases == {"x": "a.io/x"}
    replacement = machine.write("replacement", '[aliases]\n"x" = "b.io/x"\n')
    replacement.rename(file)
    assert watched.later().aliases == {"x": "b.io/x"}
    file.unlink()
    assert watched.later().aliases == {}


def test_a_file_that_breaks_is_logged_once_and_heals(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.write(MAIN, search("a.io"))
    watched = Watched(machine)
    assert watched.watch.current().broken == ()
    with caplog.at_level(logging.WARNING):
        machine.write(MAIN, "x = \n")
        assert len(watched.later().broken) == 1
        machine.write(f"{DROP_INS}/1.conf", search("b.io"))
        assert watched.later().search == ("b.io",)
    assert [record.message.count(MAIN) for record in caplog.records] == [1]
    machine.write(MAIN, "")
    assert watched.later().broken == ()
