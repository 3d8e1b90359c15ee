"""The language of ``--format``: what Go's ``text/template`` and podman's rules around it make of a row."""

# ruff: noqa: E501 (the tables of forms and results)

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged_client.gotemplate.errors import TemplateError
from storaged_client.gotemplate.report import compile
from storaged_client.gotemplate.times import Duration, Time
from storaged_client.gotemplate.values import NilMap, NilSlice, Struct, known

ROW = Struct(
    "images.imageReporter",
    {
        "ID": "6f7a0dfd0bc1",
        "Tag": "v2",
        "Size": 8611,
        "Names": ["quay.io/ns/app:v2", "localhost/app:latest"],
        "None": NilSlice(),
        "Labels": {"b": "2", "a": "<1>&"},
        "Nothing": None,
        "Void": NilMap(),
        "Yes": True,
        "Half": 0.5,
        "Created": Time("2026-11-24T08:41:21.072180283Z"),
        "Config": Struct("*v1.ImageConfig", {"Cmd": ["a", "b c"], "User": ""}),
        "Wide": "äöü",
    },
)


def filled(form: str, row: Any = ROW) -> str:
    return compile(form, "images").render([row])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{{.ID}}:{{ .Tag }}", "6f7a0dfd0bc1:v2\n"),
        ("{{.Config.Cmd}} {{.Labels}} {{.Names}}", "[a b c] map[a:<1>& b:2] [quay.io/ns/app:v2 localhost/app:latest]\n"),
        ("{{.Config}} {{.Yes}} {{.Half}} {{.Size}}", "{[a b c] } true 0.5 8611\n"),
        ("{{.None}} {{.Void}} {{.Nothing}} {{.Labels.c}} {{.Labels.c.d}}", "[] map[] <nil> <no value> <no value>\n"),
        ("{{json .None}}{{json .Void}}{{json .Nothing}}{{json .Config}}", 'nullnullnull{"Cmd":["a","b c"],"User":""}\n'),
        ('{{json .Labels}} {{json "ü\u2028<"}}', '{"a":"<1>&","b":"2"} "ü\\u2028<"\n'),
        ('{{index .Labels "b"}}|{{index .Labels "c"}}|{{index .Names 1}}|{{index .ID 0}}', "2||localhost/app:latest|54\n"),
        ("{{len .Names}} {{len .Wide}} {{len .Labels}} {{.Names | len}}", "2 6 2 2\n"),
        ("{{slice .ID 0 4}} {{slice .ID 8}} {{slice .Names 1}}", "6f7a 0bc1 [localhost/app:latest]\n"),
        ('{{join .Names ", "}} {{split "a/b" "/"}} {{split "ab" ""}}', "quay.io/ns/app:v2, localhost/app:latest [a b] [a b]\n"),
        ("{{upper .Tag}} {{lower `ABC`}} {{title `hello world-x a_b don't`}}", "V2 abc Hello World-X A_b Don'T\n"),
        ('{{truncate .ID 4}} {{truncate .Tag 9}} {{pad .Tag 1 2}}|{{pad "" 1 2}}|', "6f7a v2  v2  ||\n"),
        ('{{print "a" "b" 1 2 "c" 3}} {{println "a" 1}}', "ab1 2c3 a 1\n\n"),
        ("{{html `<a&'\">`}} {{js `a'b<=`}} {{urlquery `a b&c/ü`}}", "&lt;a&amp;&#39;&#34;&gt; a\\'b\\u003C\\u003D a+b%26c%2F%C3%BC\n"),
        ('{{eq .Tag "v1" "v2"}} {{ne .Tag "v2"}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 2 1}}', "true false true true false true\n"),
        ("{{and 1 0}} {{or 0 `x`}} {{not 1}} {{and true false}} {{or .Nothing .None}}", "0 x false false []\n"),
        ("{{or .Yes (index .Names 9)}} {{and false (index .Names 9)}}", "true false\n"),
        ('{{if eq .Tag "v1"}}1{{else if eq .Tag "v2"}}2{{else}}3{{end}}', "2\n"),
        ("{{if .None}}x{{else}}empty{{end}}{{if .Config}}struct{{end}}", "emptystruct\n"),
        ("{{with .Config.User}}{{.}}{{else}}nobody{{end}} {{with $x := .Tag}}{{$x}}{{.}}{{end}}", "nobody v2v2\n"),
        ("{{with .None}}x{{else with .Tag}}{{.}}{{end}}", "v2\n"),
        ("{{range .Names}}{{.}},{{end}}", "quay.io/ns/app:v2,localhost/app:latest,\n"),
        ("{{range $i, $e := .Names}}{{if $i}} {{end}}{{$i}}={{$e}}{{end}}", "0=quay.io/ns/app:v2 1=localhost/app:latest\n"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=<1>&;b=2;\n"),
        ("{{range $e := .Config.Cmd}}{{$e}}{{end}}{{range .None}}x{{else}}none{{end}}", "ab cnone\n"),
        ("{{range 3}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{end}}", "02\n"),
        ("{{range .Names}}{{break}}{{end}}!", "!\n"),
        ("{{$x := .Tag}}{{$x}}{{$x = `y`}}{{$x}}{{range .Names}}{{$x = .}}{{end}}{{$x}}", "v2ylocalhost/app:latest\n"),
        ("{{range .Names}}{{$.Tag}}{{end}}", "v2v2\n"),
        ('{{define "x"}}<{{.}}>{{end}}{{template "x" .Tag}}{{block "y" .ID}}{{.}}{{end}}', "<v2>6f7a0dfd0bc1\n"),
        ("{{(index .Names 0) | upper}} {{(len .Names)}} {{(.Config).Cmd}}", "QUAY.IO/NS/APP:V2 2 [a b c]\n"),
        ("a {{- .Tag -}} b {{/* note */}}c{{- /* note */ -}} d{{- 3 -}} e {{-4}}", "av2b cd3e -4\n"),
        ("{{'a'}} {{0x1F}} {{0b11}} {{017}} {{1_000}} {{1e3}} {{-.5}} {{true}} {{`r\\q`}}", "97 31 3 15 1000 1000 -0.5 true r\\q\n"),
        (r'{{"\"\\ \x41\u00e9\101"}}', '"\\ AéA\n'),
        ('{{.ID | printf "%.4s" | upper}}', "6F7A\n"),
        ("{{.Created}} {{.Created.Unix}} {{.Created.Year}}", "2026-11-24 08:41:21.072180283 +0000 UTC 1795509681 2026\n"),
        ('{{json .Created}} {{.Created.UTC.Format "Mon Jan _2 15:04:05.000 2006"}}', '"2026-11-24T08:41:21.072180283Z" Tue Nov 24 08:41:21.072 2026\n'),
    ],
)  # fmt: skip
def test_a_row_is_printed_as_go_prints_it(form: str, text: str) -> None:
    assert filled(form) == text


@pytest.mark.parametrize(
    ("form", "operands", "text"),
    [
        ("%s-%d-%v-%q-%05d-%x-%t-%-5s|%5.2f|%%", '"a" 3 .Names "q" 42 255 true "l" 3.14159', None),
        ("%6d|%-6d|%+d|%x|%X|%o|%b|%c|%U", "42 42 42 255 255 8 5 65 65", "    42|42    |+42|ff|FF|10|101|A|U+0041"),
        ("%.2s|%5s|%x|%q|%8.3f|%e|%g", '"abc" "é" "hi" "a\\"b" 2.5 1.5 0.5', 'ab|    é|6869|"a\\"b"|   2.500|1.500000e+00|0.5'),
        ("%v %s %d %v %+v", ".None .Names .Size .Nothing .Config", "[] [quay.io/ns/app:v2 localhost/app:latest] 8611 <nil> {Cmd:[a b c] User:}"),
        ("%d %s %z", '"x" 3 3', "%!d(string=x) %!s(int=3) %!z(int=3)"),
        ("%s", "", "%!s(MISSING)"),
        ("a", "1", "a%!(EXTRA int=1)"),
        ("%[2]d %[1]d|%[3]d", "1 2", "2 1|%!d(BADINDEX)"),
        ("%05s|%-5s|%05d|%5t|%v %v %v", '"a" "é" -3 true 1e6 1e3 1.5e-7', "0000a|é    |-0003| true|1e+06 1000 1.5e-07"),
        ("%*d|%-*d|", "4 1 3 2", "   1|2  |"),
    ],
)  # fmt: skip
def test_printf_formats_as_go_does(form: str, operands: str, text: str | None) -> None:
    expected = text or 'a-3-[quay.io/ns/app:v2 localhost/app:latest]-"q"-00042-ff-true-l    | 3.14|%'
    assert filled(f"{{{{printf `{form}` {operands}}}}}") == f"{expected}\n"


def test_a_width_takes_no_more_memory_than_a_screen_can_show() -> None:
    assert filled('{{printf "%99999999d" 1}}').startswith("%!(BADWIDTH)")
    with pytest.raises(TemplateError, match="error calling pad"):
        filled('{{pad "x" 99999999 0}}')


@pytest.mark.parametrize(
    ("form", "column", "message"),
    [
        ("{{.Foo}}", 2, 'executing "images" at <.Foo>: can\'t evaluate field Foo in type images.imageReporter'),
        ("x{{.Config.Nope}}", 10, "can't evaluate field Nope in type *v1.ImageConfig"),
        ("{{.Tag.Foo}}", 6, "can't evaluate field Foo in type string"),
        ("{{.Names.Foo}}", 8, "can't evaluate field Foo in type []string"),
        ("{{.Nothing.Foo}}", 10, "nil pointer evaluating Foo"),
        ("{{index .Names 9}}", 2, "at <index .Names 9>: error calling index: index out of range: 9"),
        ("{{index .Labels 3}}", 2, "error calling index: value has type int; should be string"),
        ("{{len 3}}", 2, "error calling len: len of type int"),
        ("{{slice .ID 9 3}}", 2, "error calling slice: invalid slice index: 9 > 3"),
        ("{{eq .Tag 3}}", 2, "error calling eq: incompatible types for comparison: string and int"),
        ("{{lt .Yes true}}", 2, "error calling lt: invalid type for comparison: bool"),
        ("{{eq .Names .Names}}", 2, "non-comparable type [quay.io/ns/app:v2 localhost/app:latest]: []string"),
        ("{{upper 3}}", 2, "wrong type for value; expected string; got int"),
        ("{{join .Tag `,`}}", 2, "wrong type for value; expected []string; got string"),
        ("{{truncate .ID}}", 2, "wrong number of args for truncate: want 2 got 1"),
        ("{{range .Tag}}x{{end}}", 8, "range can't iterate over v2"),
        ("{{.ID 1}}", 2, "ID has arguments but cannot be invoked as function"),
        ("{{1 2}}", 2, "at <1>: can't give argument to non-function 1"),
        ("{{nil}}", 2, "nil is not a command"),
        ('{{template "x"}}', 2, 'template "x" not defined'),
        ('{{define "x"}}{{template "x"}}{{end}}{{template "x"}}', 16, "exceeded maximum template depth"),
        ("{{call .Tag}}", 2, "error calling call: non-function of type string"),
        ("{{.Created.Format 3}}", 2, "expected string; got int"),
        ("{{.Created.Format}}", 2, "wrong number of args for Format: want 1 got 0"),
    ],
)
def test_what_a_row_does_not_have_is_an_error_in_gos_words(form: str, column: int, message: str) -> None:
    template = compile(form, "images")
    with pytest.raises(TemplateError) as caught:
        template.render([ROW])
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"template: images:1:{column}: ")
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{{.ID", "images:1:5: unclosed action"),
        ("ü\n{{foo .ID}}", 'images:2:2: function "foo" not defined'),
        ("{{if .ID}}", "images:1:10: unexpected EOF"),
        ("{{end}}", "images:1:2: unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{}}", "missing value for command"),
        ("{{if}}x{{end}}", "missing value for if"),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{$x = 1}}", 'undefined variable "$x"'),
        ("{{if $x := 1}}{{end}}{{$x}}", 'undefined variable "$x"'),
        ('{{"abc}}', "unterminated quoted string"),
        ("{{`abc}}", "unterminated raw quoted string"),
        ('{{"\\q"}}', "invalid syntax"),
        ("{{(.ID}}", "unclosed left paren"),
        ("{{.ID)}}", "unexpected right paren"),
        ("{{1a}}", 'bad number syntax: "1a"'),
        ("{{99999999999999999999}}", "bad number syntax"),
        ("{{.ID.}}", 'unexpected "." in operand'),
        ("{{.Names.0}}", 'unexpected ".0" in operand'),
        ("{{.ID := 3}}", 'unexpected ":=" in operand'),
        ("{{.ID,}}", 'unexpected "," in operand'),
        ("{{.ID#}}", "bad character U+0023 '#'"),
        ("{{#}}", "unrecognized character in action: U+0023 '#'"),
        ("{{'ab'}}", "malformed character constant: 'ab'"),
        ("{{/* x }}", "unclosed comment"),
        ("{{/* x */ .ID}}", "comment ends before closing delimiter"),
        ("{{. | 3}}", "non executable command in pipeline stage 2"),
        ("{{nil.Foo}}", 'unexpected "." after term "nil"'),
        ('{{define "x"}}{{break}}{{end}}', "{{break}} outside {{range}}"),
        ("{{range .}}{{end}}{{continue}}", "{{continue}} outside {{range}}"),
        ("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", "nested too deeply"),
    ],
)
def test_what_is_no_template_is_told_with_its_place(form: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile(form, "images")
    assert message in str(caught.value)
    assert str(caught.value).startswith("template: images:")


def test_nothing_is_printed_of_a_template_that_fails_in_a_later_row() -> None:
    template = compile("{{index .Names 1}}")
    with pytest.raises(TemplateError):
        template.render([ROW, {"Names": []}])


def test_fields_of_a_plain_row_are_fixed_and_those_of_its_maps_are_not() -> None:
    assert filled("{{.m.absent}} {{.m.null}}", {"m": {"null": None}}) == "<no value> <no value>\n"
    with pytest.raises(TemplateError, match="can't evaluate field absent"):
        filled("{{.absent}}", {"m": {}})


@pytest.mark.parametrize(
    ("text", "layout", "shown"),
    [
        ("2026-11-24T08:41:21Z", "2006-01-02T15:04:05Z07:00", "2026-11-24T08:41:21Z"),
        ("2026-11-24T08:41:21.5+02:30", "2006-01-02T15:04:05.999Z07:00", "2026-11-24T08:41:21.5+02:30"),
        ("2026-01-04T18:01:02.000000001-05:00", "Monday, 2 January 06 3:4:5PM -0700 MST", "Sunday, 4 January 26 6:1:2PM -0500 -0500"),
        ("2026-01-04T00:01:02Z", "03:04pm 002 .000 Z0700", "12:01am 004 .000 Z"),
    ],
)  # fmt: skip
def test_times_are_formatted_by_gos_layout(text: str, layout: str, shown: str) -> None:
    assert Time(text).format(layout) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-04T18:01:02+01:00", "2026-01-04 18:01:02 +0100 CET"),
        ("2026-07-04T18:01:02+02:00", "2026-07-04 18:01:02 +0200 CEST"),
        ("2026-07-04T18:01:02+01:00", "2026-07-04 18:01:02 +0100 +0100"),
        ("2026-07-04T18:01:02+00:00", "2026-07-04 18:01:02 +0000 +0000"),
        ("2026-07-04T18:01:02Z", "2026-07-04 18:01:02 +0000 UTC"),
    ],
)
def test_an_offset_of_this_machine_bears_the_name_of_its_zone(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        try:
            assert str(Time(text)) == shown
        finally:
            patch.undo()
            time.tzset()


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (1_000_000, "1ms"),
        (999_999_999, "999.999999ms"),
        (30_000_000_000, "30s"),
        (90_000_000_001, "1m30.000000001s"),
        (3_600_000_000_000, "1h0m0s"),
        (-5_500_000_000, "-5.5s"),
    ],
)
def test_a_duration_is_printed_as_go_prints_it_and_is_a_number_in_json(nanoseconds: int, shown: str) -> None:
    form = '{{.D}} {{printf "%v %s %d" .D .D .D}} {{json .D}} {{.D.String}} {{.D.Milliseconds}}'
    number = str(nanoseconds)
    milliseconds = int(nanoseconds / 1_000_000)
    wanted = f"{shown} {shown} {shown} {number} {number} {shown} {milliseconds}\n"
    assert filled(form, {"D": Duration(nanoseconds)}) == wanted


def test_a_number_that_nobody_knows_is_a_dash_and_null_in_json() -> None:
    assert filled("{{.N}} {{json .N}} {{json .}}", {"N": known(None)}) == '- null {"N":null}\n'


@pytest.mark.parametrize("text", ["", "never", "2026-13-01T00:00:00Z", "2026-11-24", "2026-11-24T08:41:21"])
def test_what_is_no_time_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        Time(text)


def test_a_time_before_the_year_1_in_utc_is_an_error_of_the_template() -> None:
    with pytest.raises(TemplateError, match="error calling UTC"):
        filled("{{.T.UTC}}", {"T": Time("0001-01-01T00:00:00+01:00")})


PIECES = ["{{", "}}", "{{-", "-}}", " ", ".", ".Names", ".ID", "$x", ":=", "|", "(", ")", '"', "`", "if", "else", "end"]
PIECES += ["range", "with", "printf", "index", "0", "9", "%d", "\\n", "table ", "break", "define", "x", "/*", "*/", ","]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20))
def test_any_text_is_a_template_or_a_template_error(form: str) -> None:
    try:
        text = compile(form).render([ROW, ROW], {})
    except TemplateError:
        return
    assert isinstance(text, str)
