"""Format strings that scripts use, against what podman 5.8.6 printed of the same store.

``podman_templates.json`` holds the store as the daemon answers it, and podman's output for each format; the same
formats are run against a live podman by ``tests/interop/test_templates.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import images, info, podman_structs
from storaged_client.gotemplate.errors import TemplateError
from storaged_client.gotemplate.report import compile
from storaged_client.gotemplate.values import Struct
from storaged_client.podman import image_shape

from .facts import info as server_info

RECORDED = json.loads(Path(__file__).with_name("podman_templates.json").read_text())
APP = "6f7a0dfd0bc182fab7b88f53c5725d0e032a85ecddb19b3fd95af1436c9ae660"
NOW = 1795510281
"""Ten minutes after the image was made."""

LISTED = '{"name":"oci://{{ .Repository }}:{{ .Tag }}","modified":"{{ .CreatedAt }}","size":{{ .VirtualSize }}},'


def rows(of: str = "images") -> list[Struct]:
    command, *names = of.split()
    if command == "inspect":
        described = [image_shape.describe(item) for item in RECORDED["inspected"]]
        return [podman_structs.inspected(item) for item in described[: len(names)]]
    wanted = [item for item in RECORDED["images"] if not names or item["id"] == APP]
    return [
        podman_structs.image(row.image, row.repository, row.tag, row.created, NOW, full=False)
        for row in images.ordered(wanted, "created")
    ]


def filled(form: str, of: str = "images") -> str:
    command = of.split()[0]
    return compile(form, command).render(rows(of), podman_structs.IMAGE_TITLES if command == "images" else None)


def cases(outcome: str) -> list[Any]:
    chosen = [case for case in RECORDED["cases"] if outcome in case]
    return [pytest.param(case["of"], case["format"], case[outcome], id=case["format"][:60]) for case in chosen]


@pytest.mark.parametrize(("of", "form", "podman"), cases("prints"))
def test_a_format_prints_what_podman_prints(of: str, form: str, podman: str) -> None:
    assert filled(form, of) == podman


@pytest.mark.parametrize(("of", "form", "podman"), cases("fails"))
def test_a_format_fails_where_podman_fails(of: str, form: str, podman: str) -> None:
    with pytest.raises(TemplateError) as caught:
        filled(form, of)
    _, _, field = podman.partition("can't evaluate field ")
    assert field.partition(" ")[0] in str(caught.value) or "range can't iterate" in str(caught.value)


def test_ramalama_reads_its_models() -> None:
    models = json.loads("[" + filled(LISTED, "images app").strip()[:-1] + "]")
    assert models == [
        {"name": "oci://quay.io/ns/app:v2", "modified": "2026-11-24 08:41:21 +0000 UTC", "size": 8611},
        {"name": "oci://localhost/app:latest", "modified": "2026-11-24 08:41:21 +0000 UTC", "size": 8611},
    ]


def test_ages_are_those_of_the_table() -> None:
    assert filled("{{.Created}}|{{.CreatedSince}}", "images app").split("\n")[0] == "10 minutes ago|10 minutes ago"


def test_a_whole_row_is_podmans_struct() -> None:
    (first, _) = filled("{{.}}", "images app").splitlines()
    assert first.startswith(f"{{quay.io/ns/app v2 {{{APP} d0d5fcb745a8")
    digest = "sha256:c18f35948272d6d83a66908803dfbca761f168ebe338d8dbc231985f519c7026"
    names = "[localhost/app:latest quay.io/ns/app:v2] <nil> [quay.io/ns/app:v2 localhost/app:latest]"
    assert first.endswith(f" 0 false false  {digest} {names} }}}}")


def test_what_podman_leaves_empty_is_told() -> None:
    assert filled("{{.Arch}}/{{.Os}} {{.IsManifestList}}", "images app").splitlines()[0] == "amd64/linux false"


def test_ids_are_whole_without_truncation() -> None:
    (row, *_) = images.ordered(RECORDED["images"], "size")
    struct = podman_structs.image(row.image, row.repository, row.tag, row.created, NOW, full=True)
    assert compile("{{.ID}} {{.Id}}").render([struct]) == f"sha256:{row.image['id']} {row.image['id']}\n"


def test_both_spellings_of_an_inspected_image_work_anywhere() -> None:
    # podman replaces `{{.Id}}` in the text, so that `{{truncate .Id 12}}` fails there.
    assert filled("{{truncate .Id 4}} {{.ID | len}} {{.Config.Healthcheck}} {{.Healthcheck}}", "inspect app") == (
        "6f7a 64 <nil> <nil>\n"
    )


def test_a_health_check_has_its_fields() -> None:
    described = {**image_shape.describe(RECORDED["inspected"][0]), "Healthcheck": {"Test": ["CMD", "x"]}}
    struct = podman_structs.inspected(described)
    form = "{{.HealthCheck.Test}} {{.Config.Healthcheck.Test}} {{json .HealthCheck}}"
    assert compile(form).render([struct]) == '[CMD x] [CMD x] {"Test":["CMD","x"]}\n'
    assert json.loads(compile("{{json .}}").render([struct])) == described


def test_a_time_that_is_none_is_shown_as_it_is() -> None:
    described = {**image_shape.describe(RECORDED["inspected"][0]), "Created": "never"}
    assert compile("{{.Created}}").render([podman_structs.inspected(described)]) == "never\n"


def test_info_has_podmans_names_and_the_daemons() -> None:
    struct = podman_structs.information(info.podman_form(server_info(unreadable_evidence=[])))
    form = "{{.Store.GraphDriverName}} {{.Store.GraphRoot}} {{.Store.ImageStore.Number}} {{.Storaged.pid}}"
    assert compile(form, "info").render([struct]) == "overlay /nowhere/storage 14 123\n"
    assert compile("{{json .Store.ImageStore}}{{.Store.GraphOptions}}").render([struct]) == '{"number":14}map[]\n'
    with pytest.raises(TemplateError, match=r"field Nope in type \*define.StoreInfo"):
        compile("{{.Store.Nope}}").render([struct])


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}", []),
        (LISTED, []),
        ("{{.Labels.foo}} {{.Os}}", ["labels", "os"]),
        ("{{.RepoDigests}}", ["digests"]),
        ("{{.Digest}} {{.History}}", ["digest", "names_history"]),
    ],
)
def test_a_listing_asks_only_for_what_the_template_looks_at(form: str, fields: list[str]) -> None:
    assert podman_structs.image_fields(form) == fields


@pytest.mark.parametrize("form", ["{{.}}", "{{json .}}", "{{range .}}{{.ID}}{{end}}", "{{$x := $}}{{$x.Digest}}"])
def test_a_listing_asks_for_all_where_the_whole_row_is_used(form: str) -> None:
    assert len(podman_structs.image_fields(form)) == 10
