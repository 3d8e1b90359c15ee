"""``history``, against what podman 5.8.6 printed of the image described here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storaged_client.cli import image_history, output
from storaged_client.cli.flags import GLOBAL, Options, parse

from .facts import APP, BASE, NOW


def row(**members: Any) -> Any:
    return {
        "id": None,
        "created": "2026-11-24T08:02:28.215041450Z",
        "created_by": "/bin/sh -c #(nop) ENV A=1",
        "size": 0,
        "comment": None,
        "tags": [],
        "empty_layer": True,
        **members,
    }


COPY = "/bin/sh -c #(nop) COPY file:709648212119f245e7768722c81f18af713ef05c5674bb76458fc7e52b73fb88 in /file"
ROWS = [
    row(id=APP, tags=["localhost/l:1", "localhost/l:2"]),
    row(comment="FROM localhost/b:2"),
    row(id=BASE, created_by=COPY, size=4608, empty_layer=False),
]


def test_the_table_is_podmans() -> None:
    assert image_history.render(ROWS, NOW) == (
        "ID            CREATED         CREATED BY                                     SIZE        COMMENT\n"
        "f9d7ceee89b7  12 minutes ago  /bin/sh -c #(nop) ENV A=1                      0B          \n"
        "<missing>     12 minutes ago  /bin/sh -c #(nop) ENV A=1                      0B          FROM localhost/b:2\n"
        "2be687b74c07  12 minutes ago  /bin/sh -c #(nop) COPY file:709648212119f2...  4.61kB      \n"
    )


def test_without_truncation_and_words_it_is_whole_ids_instructions_and_times() -> None:
    (line,) = image_history.render(ROWS[2:], NOW, full=True, human=False, heading=False).splitlines()
    assert line.split("  ") == [BASE, "2026-11-24T08:02:28Z", COPY, "4.61kB", "", "", ""]


def test_the_json_is_podmans() -> None:
    text = output.compact([image_history.encoded(each) for each in ROWS[:2]], escape_html=True)
    assert text == (
        f'[{{"id":"{APP}","created":"2026-11-24T08:02:28.21504145Z","CreatedBy":"/bin/sh -c #(nop) ENV A=1",'
        '"tags":["localhost/l:1","localhost/l:2"],"size":0,"Created":"2026-11-24T08:02:28Z"},'
        '{"id":"\\u003cmissing\\u003e","created":"2026-11-24T08:02:28.21504145Z",'
        '"CreatedBy":"/bin/sh -c #(nop) ENV A=1","size":0,"comment":"FROM localhost/b:2",'
        '"Created":"2026-11-24T08:02:28Z"}]\n'
    )


def test_what_an_entry_does_not_say_is_empty_and_the_oldest_of_times() -> None:
    bare = row(created=None, created_by=None, size=None)
    assert json.loads(output.compact(image_history.encoded(bare))) == {
        "id": "<missing>",
        "created": "0001-01-01T00:00:00Z",
        "size": None,
        "Created": "0001-01-01T00:00:00Z",
    }
    assert image_history.render([bare], NOW, heading=False).split() == ["<missing>", "292", "years", "ago", "-"]


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("{{.ID}} {{.Size}} {{.CreatedSince}}", "2be687b74c07 4.61kB 12 minutes ago\n"),
        ("{{.CreatedAt}} {{json .Tags}}", "2026-11-24T08:02:28Z null\n"),
        ("table {{.ID}} {{.CreatedBy}}", "ID            CREATED BY\n2be687b74c07  /bin/sh -c #(nop) COPY fi"),
        ("{{len .CreatedBy}} {{.Comment}}|", "45 |\n"),
    ],
)
def test_templates_see_podmans_fields(form: str, printed: str) -> None:
    template, _ = output.chosen(form, "history")
    assert template is not None
    text = template.render([image_history.struct(ROWS[2], NOW, full=False, human=True)], image_history.TITLES)
    assert text.startswith(printed)


@pytest.mark.parametrize(
    ("argv", "human"), [((), True), (("-H",), True), (("-H=false",), False), (("--human=0",), False)]
)
def test_times_are_in_words_unless_they_are_not_wanted(argv: tuple[str, ...], human: bool) -> None:
    options = Options()
    parse((*image_history.FLAGS, *GLOBAL), list(argv), options, "")
    assert options.on("human", True) is human
