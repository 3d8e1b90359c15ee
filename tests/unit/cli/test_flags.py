"""The command line, against the messages of podman 5.8.6."""

from __future__ import annotations

import pytest

from storaged_client.cli import images
from storaged_client.cli.flags import GLOBAL, HelpWanted, Options, UsageError, parse, seconds

FLAGS = (*images.FLAGS, *GLOBAL)


def given(*argv: str) -> tuple[Options, list[str]]:
    options = Options()
    return options, parse(FLAGS, list(argv), options, "storagectl images")


def test_flags_and_arguments_mix() -> None:
    options, arguments = given("-aq", "name", "--filter", "a=b", "-fdangling=true", "-f=c", "--sort=size", "--digests")
    assert arguments == ["name"]
    assert options.many("filter") == ["a=b", "dangling=true", "c"]
    assert options.text("sort") == "size"
    assert [options.on(name) for name in ("all", "quiet", "digests", "history")] == [True, True, True, False]


def test_a_switch_can_be_given_a_value() -> None:
    options, _ = given("--all=false", "-q=true", "--digests=0")
    assert (options.on("all"), options.on("quiet"), options.on("digests")) == (False, True, False)


def test_two_dashes_end_the_flags() -> None:
    options, arguments = given("--", "-q", "--all")
    assert arguments == ["-q", "--all"]
    assert not options.on("quiet")


def test_a_single_dash_is_an_argument() -> None:
    assert given("-")[1] == ["-"]


@pytest.mark.parametrize(
    ("argv", "podman"),
    [
        (["--bogus"], "unknown flag: --bogus"),
        (["--foo=3"], "unknown flag: --foo"),
        (["-z"], "unknown shorthand flag: 'z' in -z"),
        (["-qz"], "unknown shorthand flag: 'z' in -z"),
        (["--sort"], "flag needs an argument: --sort"),
        (["-f"], "flag needs an argument: 'f' in -f"),
        (
            ["--all=foo"],
            'invalid argument "foo" for "-a, --all" flag: strconv.ParseBool: parsing "foo": invalid syntax',
        ),
        (
            ["--sort", "foo"],
            'invalid argument "foo" for "--sort" flag: "foo" is not a valid value.  '
            'Choose from: "created, id, repository, size, tag"',
        ),
    ],
)
def test_mistakes_are_told_in_podmans_words(argv: list[str], podman: str) -> None:
    with pytest.raises(UsageError) as caught:
        given(*argv)
    assert str(caught.value) == podman
    assert caught.value.see == "storagectl images"


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_asked_for_by_either_name(word: str) -> None:
    with pytest.raises(HelpWanted):
        given("name", word)


def test_the_nearest_flag_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        given("--filtre", "a=b")
    assert str(caught.value) == "unknown flag: --filtre\nDid you mean --filter?"


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2.0), ("0.5", 0.5), ("500ms", 0.5), ("10s", 10.0), ("2m", 120.0), ("1min", 60.0)]
)
def test_durations_are_seconds_or_have_a_unit(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "0", "-1", "nan", "inf", "1parsec"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        seconds(text)
