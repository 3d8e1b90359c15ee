from __future__ import annotations

import json

import pytest

from storaged_client.cli import output


def test_an_empty_table_is_podmans_heading() -> None:
    header = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")
    assert output.table(header, []) == "REPOSITORY  TAG         IMAGE ID    CREATED     SIZE\n"
    assert output.table(header, [], heading=False) == ""


def test_columns_are_twelve_wide_or_two_more_than_the_longest() -> None:
    rows = [("localhost/empty", "1", "x"), ("a", "", "last one")]
    assert output.table(("A", "B", "C"), rows) == (
        "A                B           C\nlocalhost/empty  1           x\na                            last one\n"
    )


def test_a_heading_that_is_not_printed_takes_no_width() -> None:
    assert output.table(("X" * 20, "B"), [("a", "b")], heading=False) == "a           b\n"


def test_control_characters_never_reach_the_terminal() -> None:
    assert output.printable("a\x1b[31mb\n\u202ec") == "a\\x1b[31mb\\n\\u202ec"
    assert "\x1b" not in output.table(("A",), [("\x1b]0;title\x07",)])


def test_json_is_indented_and_escaped_as_go_does() -> None:
    value = {"Labels": {"x": "<y>&z \u2028 ü"}, "Names": [], "Env": {}}
    assert output.pretty(value, escape_html=True) == (
        "{\n"
        '    "Labels": {\n'
        '        "x": "\\u003cy\\u003e\\u0026z \\u2028 ü"\n'
        "    },\n"
        '    "Names": [],\n'
        '    "Env": {}\n'
        "}\n"
    )
    assert output.pretty(["<y>"], indent=5) == '[\n     "<y>"\n]\n'


@pytest.mark.parametrize("text", ["\x7f", "\x9b31m", "\u202e", "\U000e0001", "a\u00a0b"])
def test_json_is_safe_on_a_terminal_and_says_the_same(text: str) -> None:
    for shown in (output.compact([text]), output.pretty([text])):
        assert all(character.isprintable() or character == "\n" for character in shown)
        assert json.loads(shown) == [text]


@pytest.mark.parametrize("form", ["json", " json ", "{{json .}}", "{{ json . }}", "{{json}}"])
def test_podmans_spellings_of_json_mean_json(form: str) -> None:
    assert output.json_wanted(form) is True


def test_without_a_format_the_command_decides() -> None:
    assert output.json_wanted(None) is False
    assert output.chosen(None, "inspect", default_json=True) == (None, True)
    assert output.chosen("table", "inspect", default_json=True) == (None, False)


@pytest.mark.parametrize("form", ["{{.ID}}", "table {{.ID}}", "{{json .ID}}", "yaml"])
def test_another_format_is_refused_and_names_what_works(form: str) -> None:
    with pytest.raises(output.FormatError, match=r"json .*table"):
        output.json_wanted(form)


def test_a_lone_surrogate_is_written_as_a_question_mark(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    output.emit("a\ud800b\n")
    assert capsysbinary.readouterr().out == b"a?b\n"
