"""The manual pages say what the programs have: every command, flag, setting, method and error, and nothing else.

Most of it is made from the code when the pages are built (``docs/from_code``), and these tests hold what a reader
finds against the programs themselves. Built pages are looked at where Sphinx is there (the extra ``docs``), and must be
where ``STORAGED_REQUIRE_DOCS=1``.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import attrs
import pytest

from storaged import cmd_serve, settings
from storaged.operations.filters.compiling import SERVED
from storaged_client.cli import exits
from storaged_client.cli.commands import COMMANDS, Command
from storaged_client.cli.flags import GLOBAL, OUTPUT, VERSION
from storaged_client.contract import errors
from storaged_client.contract.methods import METHODS
from storaged_client.contract.params import Common

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "storaged.8": "storaged.8.md",
    "storagectl.1": "storagectl.1.md",
    "storaged.toml.5": "storaged.toml.5.md",
    "storaged-protocol.7": "protocol.md",
}
LONG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


@pytest.fixture(scope="module")
def from_code() -> Iterator[ModuleType]:
    """The Sphinx extension of docs/, without Sphinx."""
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module("from_code")
    finally:
        sys.path.remove(str(DOCS))


class _Pages(dict[str, str]):
    """Every manual page as Markdown, with what comes from the code; made when first asked for."""

    def __init__(self, from_code: ModuleType) -> None:
        self._from_code = from_code

    def __missing__(self, name: str) -> str:
        self[name] = self._from_code.expand(_source(name))
        return self[name]


@pytest.fixture(scope="module")
def pages(from_code: ModuleType) -> _Pages:
    return _Pages(from_code)


def _source(name: str) -> str:
    return (DOCS / PAGES[name]).read_text()


def _section(page: str, heading: str) -> str:
    """What stands below a heading of the third level, up to the next heading."""
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


_PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "PYTHON_COLORS": "0"}


def _storaged(*words: str) -> str:
    """What ``storaged WORDS --help`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "storaged", *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "FORCE_COLOR"} | _PLAIN,
    )
    return done.stdout


@cache
def _words() -> list[str]:
    """The commands of ``storaged``, as its usage line has them in its own order."""
    listed = _storaged().partition("COMMAND\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines() if re.match(r" {4}\S", line)]


def test_every_command_and_flag_of_storaged_stands_in_its_page(pages: _Pages) -> None:
    words = _words()
    assert {"serve", "stop", "demo"} <= set(words)
    assert re.findall(r"^### storaged (\S+)$", pages["storaged.8"], re.MULTILINE) == words
    for word in words:
        section = _section(pages["storaged.8"], f"storaged {word}")
        flags = set(LONG.findall(_storaged(word)))
        assert flags <= set(re.findall(r"\*\*(--[a-z-]+)\*\*", section)), word


def test_every_command_of_storagectl_stands_in_its_page_with_all_spellings_and_flags(pages: _Pages) -> None:
    page = pages["storagectl.1"]
    first: dict[str, Command] = {}
    for command in COMMANDS:
        section = _section(page, f"storagectl {first.setdefault(command.module, command).path}")
        module = importlib.import_module(f"storaged_client.cli.{command.module}")
        assert f"`storagectl {command.path} [options]" in section, command.path
        for flag in (*module.FLAGS, *getattr(module, "PODMANS", ())):
            assert f"**--{flag.name}**" in section or f"**-{flag.short}, --{flag.name}**" in section, command.path
    titles = re.findall(r"^### storagectl (.+)$", page, re.MULTILINE)
    assert titles == [command.path for command in first.values()]


def test_every_global_flag_of_storagectl_stands_in_its_page(pages: _Pages) -> None:
    section = pages["storagectl.1"].partition("## Global options\n")[2].partition("\n## ")[0]
    assert re.findall(r"\*\*--([a-z-]+)\*\*", section) == [flag.name for flag in (*GLOBAL, VERSION, *OUTPUT)]


def test_every_filter_stands_in_the_page_of_storagectl(pages: _Pages) -> None:
    section = pages["storagectl.1"].partition("## Filters\n")[2].partition("\n## ")[0]
    terms = {key for line in re.findall(r"^(`.*`)\n: ", section, re.MULTILINE) for key in re.findall("`(.*?)`", line)}
    assert terms == set(SERVED)


def test_every_setting_stands_in_its_page_and_nothing_that_is_none(pages: _Pages) -> None:
    def keys(cls: Any, prefix: str = "") -> Iterator[str]:
        for name, kind in get_type_hints(cls).items():
            yield from keys(kind, f"{prefix}{name}.") if attrs.has(kind) else [prefix + name]

    wanted = sorted(keys(get_type_hints(settings.read_file)["return"]))
    assert "limits.connections" in wanted
    assert sorted(re.findall(r"^`([a-z_.]+)`\n: ", pages["storaged.toml.5"], re.MULTILINE)) == wanted
    # Each with its own facts: a text below the wrong key would say the default of another.
    marks = re.findall(r"^`([a-z_.]+)`\n: <!-- from the code: setting ([a-z_.]+) -->", _source("storaged.toml.5"), re.M)
    assert sorted(key for key, fact in marks if key == fact) == wanted


def test_the_default_of_a_setting_is_that_of_the_code(pages: _Pages) -> None:
    limits = get_type_hints(get_type_hints(settings.read_file)["return"])["limits"]
    for field in attrs.fields(limits):
        assert re.search(
            rf"^`limits\.{field.name}`\n: \*.*; default: `{field.default}`\.\*", pages["storaged.toml.5"], re.M
        )


def test_the_settings_of_the_example_are_taken(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", _source("storaged.toml.5"), re.MULTILINE | re.DOTALL)
    file = tmp_path / "storaged.toml"
    file.write_text(example)
    assert settings.read_file(str(file)).limits.connections == 512


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_stands_in_the_page_of_the_protocol_with_its_members(pages: _Pages, method: str) -> None:
    row = METHODS[method]
    section = _section(pages["storaged-protocol.7"], method)
    parameters, _, result = section.partition("Result:")
    for field in attrs.fields(row.params):
        assert re.search(rf"^\* `{field.name}`: .+", parameters, re.MULTILINE), field.name
    for field in attrs.fields(row.result):
        if field.name not in ("generation", "stale"):
            assert re.search(rf"^\* `{field.name}`: .+", result, re.MULTILINE), field.name
    assert all(f"`{name}`" in result + section for name in row.errors)
    assert ("Mutates." in section) == row.mutates


def test_every_parameter_that_all_methods_have_stands_in_the_page_of_the_protocol(pages: _Pages) -> None:
    section = pages["storaged-protocol.7"].partition("## Parameters of every method\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\* `(\w+)`", section, re.MULTILINE) == [field.name for field in attrs.fields(Common)]


def test_every_object_that_the_page_of_the_protocol_speaks_of_stands_there(pages: _Pages) -> None:
    page = pages["storaged-protocol.7"]
    described = page.partition("\n## Methods\n")[2]
    named = {
        name
        for line in re.findall(r"^\* `\w+`: (.*)", described, re.MULTILINE)
        for name in re.findall("`([A-Z]\\w+)`", line)
    }
    assert named
    assert {name for name in named - errors.BY_NAME.keys() if f"\n### {name}\n" not in page} == set()


def test_every_error_stands_in_the_table_of_the_page_of_the_protocol(pages: _Pages) -> None:
    table = pages["storaged-protocol.7"].partition("\n## Errors\n")[2].partition("\n## ")[0]
    assert {name for name in errors.BY_NAME if f"`{name}`" not in table} == set()


def test_every_exit_status_stands_in_the_page_of_its_program(pages: _Pages) -> None:
    def listed(name: str) -> set[str]:
        section = pages[name].partition("## Exit status\n")[2].partition("\n## ")[0]
        return set(re.findall(r"^(\d+)\n: ", section, re.MULTILINE))

    ours = {value for name, value in vars(exits).items() if name.isupper()}
    assert listed("storagectl.1") == {str(status) for status in ours}
    served = {cmd_serve.BUSY, cmd_serve.FORBIDDEN, cmd_serve.MISCONFIGURED, cmd_serve.FAILED}
    assert listed("storaged.8") == {str(status) for status in served} | {"0", "2", "69"}


def _commands_of_the_guide() -> list[list[str]]:
    """Every command line of our programs in the administrator's guide, in words."""
    guide = (DOCS / "admin.md").read_text()
    fences = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    code = [line for block in fences.findall(guide) for line in block.splitlines()]
    code += re.findall(r"`([^`]+)`", fences.sub("", guide))
    found = [re.match(r"(?:\S*/)?(storaged|storagectl) +([a-z-][^|<>&;)#]*)", line) for line in code]
    return [[match[1], *match[2].split()] for match in found if match]


def test_the_guide_names_only_commands_and_flags_that_are_there(pages: _Pages) -> None:
    commands = _commands_of_the_guide()
    assert len(commands) > 30
    paths = {command.path for command in COMMANDS}
    for program, *words in commands:
        page = pages["storaged.8" if program == "storaged" else "storagectl.1"]
        known = set(re.findall(r"\*\*(--[a-z-]+)\*\*", page))
        assert {word for word in words if word.startswith("--")} <= known, words
        # A number or a word after a flag may be its value: the command is what a path of ours begins with.
        plain = [word for word in words if not word.startswith("-") and not word.isdigit()]
        if program == "storaged":
            assert not plain or plain[0] in _words(), words
        else:
            assert not plain or plain[0] in paths or " ".join(plain[:2]) in paths, words


def test_a_mark_that_the_code_does_not_know_is_an_error(from_code: ModuleType) -> None:
    for mark in ("setting limits.nothing", "nothing"):
        with pytest.raises(from_code.NotInTheCode, match="nothing"):
            from_code.expand(f"<!-- from the code: {mark} -->")


# ---------------------------------------------------------------- as they are built


def _needed(what: str, there: bool) -> None:
    if there:
        return
    if os.environ.get("STORAGED_REQUIRE_DOCS") == "1":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing: pip install '.[docs]', and groff")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """HTML and man pages, made without a single warning."""
    _needed("Sphinx", find_spec("sphinx") is not None and find_spec("myst_parser") is not None)
    folders = {}
    for builder in ("html", "man"):
        folders[builder] = tmp_path_factory.mktemp(builder)
        trees = folders[builder] / ".doctrees"
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", builder, "-d", str(trees), str(DOCS)]
        done = subprocess.run([*command, str(folders[builder])], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.timeout(300)
def test_every_page_is_built_as_html_and_every_manual_page_as_a_man_page(built: dict[str, Path]) -> None:
    assert {path.name for path in built["man"].glob("*.?")} == PAGES.keys()
    sources = {path.name.removesuffix(".md") for path in DOCS.glob("*.md")}
    assert sources <= {path.name.removesuffix(".html") for path in built["html"].glob("*.html")}


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.environ.get("STORAGED_REQUIRE_DOCS") != "1", reason="compared with STORAGED_REQUIRE_DOCS=1")
@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_man_pages_that_a_wheel_carries_are_those_that_sphinx_makes(built: dict[str, Path], name: str) -> None:
    """Building a wheel must not need Sphinx, so docs/man is committed."""
    command = "python -m sphinx -E -W -b man -d build/docs/trees docs docs/man"
    assert (DOCS / "man" / name).read_text() == (built["man"] / name).read_text(), f"run: {command}"


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.environ.get("STORAGED_REQUIRE_DOCS") != "1", reason="compared with STORAGED_REQUIRE_DOCS=1")
def test_the_pictures_of_the_readme_show_what_the_programs_print() -> None:
    done = subprocess.run([sys.executable, str(DOCS / "pictures.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(PAGES))
def test_what_comes_from_the_code_is_on_the_html_page(built: dict[str, Path], pages: _Pages, name: str) -> None:
    shown = (built["html"] / PAGES[name].replace(".md", ".html")).read_text()
    assert {title for title in re.findall(r"^### (.+)$", pages[name], re.MULTILINE) if title not in shown} == set()
    assert {
        flag for flag in re.findall(r"\*\*(-[a-zA-Z-]+)\*\*", pages[name]) if f"<strong>{flag}</strong>" not in shown
    } == set()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_man_page_is_set_without_complaint_and_shows_its_flags_and_titles(
    built: dict[str, Path], pages: _Pages, name: str
) -> None:
    _needed("groff", shutil.which("groff") is not None)
    command = ["groff", "-k", "-t", "-man", "-ww", "-Tutf8", "-rLL=200n", "-P-cbou", str(built["man"] / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    shown = done.stdout.replace("\N{HYPHEN}", "-").replace("\N{MINUS SIGN}", "-")
    assert f"{name.partition('.')[0].upper()}" in shown.splitlines()[0].upper()
    assert set(re.findall(r"\*\*(-[a-zA-Z-]+)\*\*", pages[name])) <= set(re.findall(r"-[a-zA-Z-]+", shown))
    assert set(re.findall(r"^### (.+)$", pages[name], re.MULTILINE)) <= {line.strip() for line in shown.splitlines()}


@pytest.mark.parametrize("name", ["stubs", "plain"])
def test_what_is_written_out_for_type_checkers_is_as_the_code_has_it(from_code: ModuleType, name: str) -> None:
    maker = importlib.import_module(f"{from_code.__name__}.{name}")
    assert maker.PATH.read_text() == maker.text(), f"run: cd docs && python -m from_code.{name}"
