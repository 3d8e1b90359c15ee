"""The settings file: its example, its values, and every mistake with its line."""

from __future__ import annotations

import grp
import os
import pwd
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from storaged.errors import ConfigError
from storaged.server.limits import Limits
from storaged.settings import FileSettings, GatewaySettings, Grants, read_file, schema
from storaged.settings.lines import key_lines

EXAMPLE = Path(__file__).parents[2] / "docs" / "storaged.toml.example"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "storaged.toml"


def mistakes(file: Path, content: str | bytes) -> list[str]:
    """What is told of a file, without its name."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_file(str(file))
    assert caught.value.data["file"] == str(file)
    told = caught.value.message.split("\n")
    assert all(line.startswith(f"{file}:") for line in told)
    return [line.removeprefix(f"{file}:").strip() for line in told]


# -------------------------------------------------------------------- the example


def test_the_example_parses_as_it_is_and_says_nothing_but_defaults() -> None:
    assert read_file(str(EXAMPLE)) == FileSettings()


def test_a_file_that_says_nothing_is_read_as_one_whose_tables_are_empty(file: Path) -> None:
    file.write_text("# nothing\n")
    nothing = read_file(str(file))
    file.write_text("[limits]\n[access]\n")
    assert read_file(str(file)) == nothing


def test_the_example_has_every_key_with_its_default(file: Path) -> None:
    text = re.sub(r"^#(?=\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    file.write_text(text)
    found = read_file(str(file))
    assert (found.gateway.socket, found.gateway.podman_socket) == ("/run/storaged/api.sock", "/run/podman/podman.sock")
    unset = evolve(found.gateway, socket=None, podman_socket=None)
    assert evolve(found, idle_exit=None, gateway=unset) == FileSettings()
    table = tomllib.loads(text)
    assert table.keys() == {field.name for field in fields(FileSettings)}
    assert table["limits"].keys() == {field.name for field in fields(Limits)}
    assert table["access"].keys() == {field.name for field in fields(Grants)}
    assert table["gateway"].keys() == {field.name for field in fields(GatewaySettings)}


def test_every_limit_has_a_range_that_holds_its_default() -> None:
    assert schema.RANGES.keys() == {field.name for field in fields(Limits)}
    for name, (least, most) in schema.RANGES.items():
        assert least <= getattr(Limits(), name) <= most


# -------------------------------------------------------------------- values


def test_the_file_says_who_else_may_change_the_store_by_number_or_name(file: Path) -> None:
    user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
    file.write_text(f'[access]\nuids = [0, 1001, "{user.pw_name}"]\ngids = ["{group.gr_name}", 10]\n')
    access = read_file(str(file)).access
    assert access.uids == (0, 1001, user.pw_uid)
    assert access.gids == (group.gr_gid, 10)


def test_a_limit_of_all_is_kept_fitting_to_one_that_was_set(file: Path) -> None:
    file.write_text("[limits]\nconnections = 10\nin_flight = 2000\nreply_bytes = 536870912\n")
    limits = read_file(str(file)).limits
    assert (limits.uid_connections, limits.uid_in_flight, limits.uid_bytes) == (9, 2000, 512 << 20)


def test_compat_is_asked_for_by_its_word(file: Path) -> None:
    file.write_text('compat = "podman"\n')
    assert read_file(str(file)).compat == "podman"
    assert mistakes(file, 'compat = "docker"\n') == ['1: compat: "docker" is none of none, podman']


# -------------------------------------------------------------------- mistakes


def test_every_mistake_is_told_at_once_with_its_line_and_key(file: Path) -> None:
    content = """\
idle_exit = true
log_level = "loud"

colour = 3
[limits]
in_flight = 0
batch = 1.5
connections = true
[access]
uids = [
    0,
    "nobody of this name",
    -1,
]
gids = "wheel"
"""
    assert mistakes(file, content) == [
        "1: idle_exit: true is not a duration: write a number of seconds, or text such as '10min'",
        '2: log_level: "loud" is none of debug, info, warning, error',
        "4: colour: is not a setting: known are idle_exit, read_only, log_level, compat, storage_rules, limits, "
        "access, gateway",
        "6: limits.in_flight: 0 is not a whole number from 1 to 10000",
        "7: limits.batch: 1.5 is not a whole number from 1 to 10000",
        "8: limits.connections: true is not a whole number from 2 to 65536",
        '10: access.uids[1]: there is no user "nobody of this name" on this machine',
        "10: access.uids[2]: -1 is not a user: write its name, or a number from 0 to 4294967294",
        '15: access.gids: "wheel" is not a list: write ["wheel"]',
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("read_onyl = true\n", "1: read_onyl: is not a setting: did you mean read_only?"),
        ("[limits]\nin_fligth = 3\n", "2: limits.in_fligth: is not a setting: did you mean in_flight?"),
        ("batch = 3\n", "1: batch: is not a setting: it belongs into [limits]"),
        ("[limits]\nuids = [3]\n", "2: limits.uids: is not a setting: it belongs into [access]"),
        ("[limits]\nidle_exit = 3\n", "2: limits.idle_exit: is not a setting: it belongs above the first [table]"),
        ("limits = 3\n", "1: limits: 3 is not a table: write it as [name] with its keys below"),
        ('[gateway]\nsocket = "a.sock"\n', '2: gateway.socket: "a.sock" is not a path that begins with a slash'),
        ('[gateway]\nsocket = "none"\n', "2: gateway.socket: leave it out if you want no gateway"),
        (
            '[gateway]\nsocket = "/a"\npodman_socket = "/a"\n',
            "3: gateway.podman_socket: is the gateway's own socket, which cannot pass on to itself",
        ),
        ("read_only = 1\n", "1: read_only: 1 is neither true nor false"),
        ('[access]\ngids = ["\\u0000"]\n', '2: access.gids[0]: there is no group "\\u0000" on this machine'),
    ],
)
def test_a_mistake_says_what_to_do_instead(file: Path, content: str, told: str) -> None:
    assert mistakes(file, content) == [told]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "connections = 10\nuid_connections = 11\n",
            "3: limits.uid_connections: 11 is more than limits.connections, which is 10: "
            "this number can never be reached",
        ),
        (
            "uid_in_flight = 63\n",
            "2: limits.uid_in_flight: 63 is less than limits.in_flight, which is 64: "
            "one connection alone may have more",
        ),
        (
            "uid_bytes = 1048576\nreply_bytes = 1048577\n",
            "2: limits.uid_bytes: 1048576 is less than limits.reply_bytes, which is 1048577: "
            "one reply alone may be longer",
        ),
    ],
)
def test_limits_that_contradict_each_other_are_refused(file: Path, content: str, told: str) -> None:
    assert mistakes(file, f"[limits]\n{content}") == [told]


@pytest.mark.parametrize("name", sorted(schema.RANGES))
def test_no_limit_may_be_set_so_that_it_locks_everybody_out(file: Path, name: str) -> None:
    least, most = schema.RANGES[name]
    for value in (0, -1, least - 1, most + 1):
        assert any(
            told.startswith(f"2: limits.{name}: {value} is not a ") for told in mistakes(file, _limit(name, value))
        )


def _limit(name: str, value: int) -> str:
    return f"[limits]\n{name} = {value}\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"idle_exit = 3\nlog_level = ", "2: Invalid value, and the file ends"),
        (b"a = 1\nb = 2\na = 3\n", "3: Cannot overwrite a value, at column 6"),
        (b"# fine\n\xff\xfe", "2: is not UTF-8: invalid start byte"),
        (b"a = " + b"[" * 50_000, "is nested too deeply"),
        (b"a = " + b"1" * 5_000, "Exceeds the limit (4300 digits) for integer string conversion"),
        (b".".join([b"a"] * 3_000) + b" = 1\n", "is nested too deeply"),
        (b"#" * 70_000, "is longer than 65536 bytes, which no settings file is"),
    ],
)
def test_a_file_that_is_no_toml_is_one_clear_error(file: Path, content: bytes, told: str) -> None:
    (mistake,) = mistakes(file, content)
    assert mistake.startswith(told)


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_file(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="Is a directory"):
        read_file(str(tmp_path))


def test_a_file_that_anybody_may_write_grants_nothing(file: Path) -> None:
    file.write_text("[access]\nuids = [7]\n")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match=re.escape(f"chmod o-w {file}")):
        read_file(str(file))
    file.chmod(0o664)
    assert read_file(str(file)).access.uids == (7,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_grants_nothing(file: Path) -> None:
    file.write_text("[access]\nuids = [7]\n")
    os.chown(file, 65534, 65534)
    with pytest.raises(
        ConfigError, match=re.escape(f"uid 65534 owns it, and so decides who may change the store: chown 0 {file}")
    ):
        read_file(str(file))


def test_a_mistake_behind_an_expression_of_thousands_of_lines_is_told_at_once_without_its_line(file: Path) -> None:
    text = "x = [\n" + "[],\n" * 4_000 + "]\nidle_exit = false\n"
    told = mistakes(file, text.encode())
    assert any(mistake.startswith("idle_exit: ") for mistake in told), told


# -------------------------------------------------------------------- lines


def test_a_key_is_on_the_line_where_it_stands_whatever_toml_allows() -> None:
    text = '''\
# a = 1
a = """
b = 2
"""
c . "d.e" = [ # [x]
  1, # ]
  2,
]
f = {g = 1, h = {i = 2}}

[ j . k ]   # l
m = \'\'\'
n]\'\'\'
[[o]]
p = 1\r
[[o]]
p = 2
[j]
q = 1'''
    lines = key_lines(text)
    assert {".".join(path): line for path, line in lines.items()} == {
        "a": 2,
        "c": 5,
        "c.d.e": 5,
        "f": 9,
        "f.g": 9,
        "f.h": 9,
        "f.h.i": 9,
        "j.k": 11,
        "j.k.m": 12,
        "o": 14,
        "o.p": 15,
        "j": 18,
        "j.q": 19,
    }


_VALUES = st.sampled_from(
    ["1", '"""\n[x]\ny = 1\n"""', "'''a\n\n]'''", "[\n\n1,\n[2,\n]]", '"]"', "{ a = 1 }", "[ # ]\n]", '""""a" """']
)
_GAPS = st.lists(st.sampled_from(["", "# z = 1", "  ", "\t# ]"]), max_size=2)


@given(st.lists(st.tuples(_GAPS, st.booleans(), _VALUES), max_size=8))
def test_every_key_of_any_text_is_found_on_its_line(parts: list[tuple[list[str], bool, str]]) -> None:
    text, table, wanted = "", (), {}
    for number, (gap, header, value) in enumerate(parts):
        text += "".join(f"{line}\n" for line in gap)
        if header:
            table = (f"t{number}",)
            wanted[table] = text.count("\n") + 1
            text += f"[t{number}]\n"
        path: Any = (*table, f"k{number}")
        wanted[path] = text.count("\n") + 1
        text += f"k{number} = {value}\n"
    found = key_lines(text)
    assert {path: line for path, line in found.items() if path in wanted} == wanted
