"""podman's rules around a template: escapes, line feeds, ``{{range .}}``, and tables with titles."""

from __future__ import annotations

import pytest

from storaged_client.gotemplate.errors import TemplateError
from storaged_client.gotemplate.report import compile
from storaged_client.gotemplate.tabwriter import aligned

ROWS = [
    {"ID": "2458d162c4b7", "Tag": "<none>", "Names": []},
    {"ID": "1b927d24f3c5", "Tag": "1", "Names": ["localhost/list:1", "b"]},
]
TITLES = {"ID": "IMAGE ID"}


def filled(form: str) -> str:
    return compile(form).render(ROWS, TITLES)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{{.Tag}}", "<none>\n1\n"),
        ("{{.Tag}}\n", "<none>\n1\n"),
        ("{{.Tag}}\\n", "<none>\n1\n"),
        ("{{.Tag}}\n\n", "<none>\n\n1\n\n"),
        ("{{.Tag}}\\t|", "<none>\t|\n1\t|\n"),
        ("{{.Tag}}\\\\n", "<none>\\\n1\\\n"),
        ("{{.Tag}}\\r", "<none>\\r\n1\\r\n"),
        ("{{- 3 -}} ", "33"),
        ("x", "x\nx\n"),
    ],
)
def test_each_row_ends_with_one_line_feed_more_only_if_none_is_there(form: str, text: str) -> None:
    assert filled(form) == text


def test_a_text_that_is_no_template_with_its_escapes_replaced_is_taken_as_it_was() -> None:
    assert filled('{{.Tag}}{{"\\n"}}') == "<none>\n1\n"
    assert filled('{{.Tag}}{{"\\n"}}x') == "<none>\nx1\nx"
    assert filled('{{.Tag}}{{"\\t"}}') == "<none>\t\n1\t\n"


def test_a_range_over_the_rows_applies_once() -> None:
    assert filled("{{range .}}{{.Tag}}\\n{{end}}") == "<none>\n1\n\n"
    assert filled("{{range .}}{{.Tag}}\\n{{end -}}") == "<none>\n1\n"
    assert filled("{{len .}}: {{ range . }}{{.Tag}} {{ end }}") == "2: <none> 1 \n"


def test_continue_leaves_a_row_out_and_break_the_rest() -> None:
    assert filled('{{if eq .Tag "<none>"}}{{continue}}{{end}}{{.ID}}') == "1b927d24f3c5\n"
    assert filled('{{if eq .Tag "1"}}{{break}}{{end}}{{.ID}}') == "2458d162c4b7\n"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("table {{.ID}} {{.Tag}}", "IMAGE ID      TAG\n2458d162c4b7  <none>\n1b927d24f3c5  1\n"),
        ("table {{.ID}}\\t{{.Tag}}", "IMAGE ID      TAG\n2458d162c4b7  <none>\n1b927d24f3c5  1\n"),
        ("table {{ .ID }} table {{.Tag}}", "IMAGE ID      TAG\n2458d162c4b7  <none>\n1b927d24f3c5  1\n"),
        ('table {{.ID | printf "%.4s"}}', "IMAG\n2458\n1b92\n"),
        (
            "table  {{.ID}} {{.Tag}} ",
            "            IMAGE ID      TAG         \n"
            "            2458d162c4b7  <none>      \n"
            "            1b927d24f3c5  1           \n",
        ),
        ("table {{.ID}}\t{{.Tag}}\n\n", "IMAGE ID    TAG\n\n2458d162c4b7  <none>\n\n1b927d24f3c5  1\n\n"),
    ],
)
def test_a_table_has_titles_and_aligned_columns(form: str, text: str) -> None:
    template = compile(form)
    assert template.is_table
    assert template.render(ROWS, TITLES) == text


def test_without_titles_a_table_is_aligned_by_its_rows_alone() -> None:
    assert compile("table {{.ID}} {{.Tag}}").render(ROWS) == "2458d162c4b7  <none>\n1b927d24f3c5  1\n"
    assert compile("table {{.ID}} {{.Tag}}").render([], TITLES) == "IMAGE ID    TAG\n"


def test_every_expression_has_a_title() -> None:
    # podman prints <no value> for the first, and fails for the others.
    form = 'table {{.CreatedSince}}|{{.Labels.foo}}|{{join .Names ","}}|{{range .Names}}{{.}}{{end}}|{{len .RepoTags}}'
    assert compile(form).render([], {}) == "CREATED SINCE|FOO|NAMES|NAMES|9\n"
    assert compile("table {{json .repo_tags}} {{.ParentId}} {{.OCIRuntime}}").render([], {}) == (
        '"REPO TAGS"  PARENT ID   OCI RUNTIME\n'
    )


@pytest.mark.parametrize("form", ["{{.ID}}", "table", "table\\t{{.ID}}", " table {{.ID}}", "tables {{.ID}}"])
def test_only_the_word_and_a_space_make_a_table(form: str) -> None:
    assert not compile(form).is_table


def test_a_wrong_field_is_an_error_beneath_its_title() -> None:
    with pytest.raises(TemplateError, match="can't evaluate field Nope"):
        filled("table {{.ID}} {{.Nope}}")


def test_a_column_ends_where_a_line_has_no_cell() -> None:
    assert aligned("a\tb\nlong long long\tb\nnone\nc\td\n") == (
        "a               b\nlong long long  b\nnone\nc           d\n"
    )
    assert aligned("a\tbb\tc\nlong long long\td\n") == "a               bb          c\nlong long long  d\n"
    assert aligned("ü\tb\n") == "ü           b\n"
