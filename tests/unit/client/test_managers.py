from __future__ import annotations

import inspect
import json
import pydoc
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import anyio
import attrs
import pytest

import storaged_client
from storaged_client import errors as client_errors
from storaged_client import managers
from storaged_client.calls import wire_filters
from storaged_client.contract import errors as contract_errors
from storaged_client.contract import methods, types
from storaged_client.contract.methods import METHODS
from storaged_client.contract.params import Common
from storaged_client.verbs import Manager
from tests.support.server import Server


@pytest.fixture
def server(short_dir: Path) -> Iterator[Server]:
    with Server(str(short_dir / "s")) as server:
        yield server


def verb(prefix: str, method: str) -> Any:
    noun, _, name = method.partition(".")
    return getattr(getattr(managers, prefix + noun.capitalize()), name)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_a_verb_of_both_clients_with_its_parameters_in_order(method: str) -> None:
    blocking, awaited = (inspect.signature(verb(prefix, method)) for prefix in ("", "Async"))
    assert blocking == awaited
    own = [one for one in blocking.parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    fields = attrs.fields(METHODS[method].params)
    assert [one.name for one in own] == [one.name for one in fields]
    for parameter, member in zip(own, fields, strict=True):
        assert (parameter.default is parameter.empty) == (member.default is attrs.NOTHING)
        assert parameter.default in (member.default, parameter.empty)
    shared = {name for name, one in blocking.parameters.items() if one.kind is one.KEYWORD_ONLY}
    wanted = {one.name for one in attrs.fields(Common)} - {"progress_token", "store"}
    wanted |= {"progress"} if METHODS[method].progress else set()
    # Who changes or holds something wants it done, whatever the generation.
    holds = METHODS[method].mutates or METHODS[method].holds
    assert shared == wanted - ({"if_generation"} if holds else set())
    assert verb("", method).__doc__
    assert verb("", method).__doc__ == verb("Async", method).__doc__
    assert blocking.return_annotation.split(" | ")[-1] == f"t.{METHODS[method].result.__name__}"


def test_no_verb_is_without_a_method() -> None:
    found = {
        f"{cls.__name__.lower()}.{name}"
        for cls in Manager.__subclasses__()
        for name in vars(cls)
        if not name.startswith("_")
    }
    assert found == set(METHODS)
    for cls in Manager.__subclasses__():
        assert issubclass(getattr(managers, f"Async{cls.__name__}"), cls)


def test_a_verb_sends_what_differs_from_the_default_and_nothing_else(server: Server) -> None:
    server.answers["images.list"] = {"images": [], "generation": "g"}
    server.answers["images.why"] = {"unchanged": True, "generation": "g"}
    with storaged_client.connect(server.path) as client:
        assert client.images.list() == types.ImageList(generation="g")
        client.images.list({"dangling": True}, True, fields=["id"], consistency="strict", timeout=3)
        assert client.images.why("x", if_generation="g") == types.Unchanged(generation="g")
    assert server.requests == [
        ("images.list", {}),
        (
            "images.list",
            {
                "filters": [{"key": "dangling", "value": "true", "negate": False}],
                "all": True,
                "fields": ["id"],
                "consistency": "strict",
                "timeout": 3,
            },
        ),
        ("images.why", {"name": "x", "if_generation": "g"}),
    ]


def test_a_change_sends_what_differs_from_the_default_and_nothing_else(server: Server) -> None:
    report = {"generation": "g", "removed": [], "untagged": [], "kept": [], "failed": [], "freed": None}
    edited = {"generation": "g", "id": "i", "names": [], "digest": "d"}
    server.answers.update({"images.remove": report, "images.prune": report, "manifests.add": edited})
    server.answers["store.lease"] = {"generation": "g", "lease": "l", "images": ["i"], "expires": "t"}
    with storaged_client.connect(server.path) as client:
        assert client.images.remove(["a"], ignore=True) == types.PruneReport(generation="g", freed=None)
        client.images.prune({"until": "1h"}, True, dry_run=True)
        client.images.prune(plan="p")
        made = client.manifests.add("l", "a", platform={"architecture": "arm64"}, annotations={"a": "b"})
        assert made == types.ListEdited(generation="g", id="i", names=(), digest="d")
        client.store.lease(["a"])
        assert client.store.lease(["a"], 5).images == ("i",)
    assert server.requests == [
        ("images.remove", {"names": ["a"], "ignore": True}),
        (
            "images.prune",
            {"filters": [{"key": "until", "value": "1h", "negate": False}], "all": True, "dry_run": True},
        ),
        ("images.prune", {"plan": "p"}),
        (
            "manifests.add",
            {"name": "l", "image": "a", "platform": {"architecture": "arm64"}, "annotations": {"a": "b"}},
        ),
        ("store.lease", {"images": ["a"]}),
        ("store.lease", {"images": ["a"], "ttl": 5}),
    ]


def test_no_method_is_listed_twice() -> None:
    assert len(methods._ROWS) == len(METHODS)


def test_the_stores_verbs_and_the_description_are_on_the_client(server: Server) -> None:
    server.answers["store.refresh"] = {"generation": "g"}
    server.answers["rpc.discover"] = {"openrpc": "1.3.2"}
    with storaged_client.connect(server.path) as client:
        assert client.refresh(timeout=1) == client.store.refresh() == types.Empty(generation="g")
        assert client.discover() == {"openrpc": "1.3.2"}


def test_filters_of_a_mapping_negate_by_a_mark_and_repeat_by_a_list() -> None:
    assert wire_filters({"label!": ["a", "b=c"], "id": "x", "dangling": False}) == (
        {"key": "label", "value": "a", "negate": True},
        {"key": "label", "value": "b=c", "negate": True},
        {"key": "id", "value": "x", "negate": False},
        {"key": "dangling", "value": "false", "negate": False},
    )
    assert wire_filters(["dangling=true", {"key": "id", "value": "x"}]) == (
        "dangling=true",
        {"key": "id", "value": "x"},
    )
    assert wire_filters({}) is None


def test_one_string_where_several_are_wanted_is_the_callers_mistake(server: Server) -> None:
    with storaged_client.connect(server.path) as client:
        for method, wrong in (
            ("images.list", lambda: client.images.list("dangling=true")),
            ("images.list", lambda: client.images.list(fields="id")),
            ("images.tag", lambda: client.images.tag("a", "b")),
            ("images.remove", lambda: client.images.remove("a")),
            ("store.lease", lambda: client.store.lease("a")),
        ):
            with pytest.raises(TypeError, match=f"^{method}: .* several strings, not one: \\['"):
                wrong()
    assert server.requests == []


def test_a_wrong_call_is_told_by_the_name_of_the_method(server: Server) -> None:
    server.answers["images.list"] = {"images": 3}
    with storaged_client.connect(server.path) as client:
        for text, wrong in (
            ("images.why: missing a required argument: 'name'", lambda: client.images.why()),
            ("images.list: got an unexpected keyword argument 'wxyz'", lambda: client.images.list(wxyz=1)),
            ("images.tag: got an unexpected keyword argument 'if_generation'",
             lambda: client.images.tag("a", ["b"], if_generation="g")),
            ("images.list is called on a client: storaged_client.connect().images.list()",
             lambda: managers.Images.list()),
        ):  # fmt: skip
            with pytest.raises(TypeError) as caught:
                wrong()
            assert str(caught.value) == text
        with pytest.raises(storaged_client.MalformedResult, match=r"^images\.list: no ImageList: "):
            client.images.list()
        server.answers["images.why"] = storaged_client.ImageUnknown("no such image")
        with pytest.raises(storaged_client.ImageUnknown) as unknown:
            client.images.why("x")
        assert (unknown.value.method, str(unknown.value)) == ("images.why", "no such image")
        server.holding.add("images.tree")
        with pytest.raises(storaged_client.RequestTimeout, match=r"^images\.tree: no answer in time$"):
            client.call("images.tree", timeout=0.01)
        assert repr(client.images.list) == "<method images.list of storaged>"


def plain(cls: type, **members: Any) -> dict[str, Any]:
    """A value of the protocol as JSON, of which only these members say anything."""
    empty: dict[Any, Any] = {str: "", int: 0, bool: False, dict: {}, tuple: []}
    kinds = get_type_hints(cls)
    return {
        field.name: empty.get(get_origin(kinds[field.name]) or kinds[field.name]) for field in attrs.fields(cls)
    } | members


SUMMARY = plain(
    types.ImageSummary, id="i", names=["n"], created="2026-01-02T03:04:05.678901234+01:00", labels={"a": "b"}
)
ONE = plain(types.ImageDetails, summary=SUMMARY, config={"Cmd": ["x"]})
MISSING = {"code": 1001, "message": "nope: image not known", "data": {"name": "ImageUnknown", "asked": "nope"}}


def _got(params: Any) -> Any:
    known = {"n": {"name": "n", "image": ONE, "error": None}, "nope": {"name": "nope", "image": None, "error": MISSING}}
    if params.get("if_generation") == "g":
        return {"generation": "g", "unchanged": True}
    return {"generation": "g", "images": [known[name] for name in params["names"]]}


def test_one_name_gets_the_image_or_its_error_and_several_get_a_list(server: Server) -> None:
    server.answers["images.get"] = _got
    with storaged_client.connect(server.path) as client:
        assert client.images.get("n").summary.names == ("n",)
        with pytest.raises(storaged_client.ImageUnknown, match="nope: image not known") as caught:
            client.images.get("nope")
        assert caught.value.data == MISSING["data"]
        assert client.images.get("n", if_generation="g") == types.Unchanged(generation="g")
        several = client.images.get(["n", "nope"])
        assert several[0].image == client.images.get("n")
        assert several[1].error is not None


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_one_name_gets_the_same_of_the_async_client(server: Server, backend: str) -> None:
    server.answers["images.get"] = _got

    async def ask() -> None:
        async with storaged_client.aconnect(server.path) as client:
            assert (await client.images.get("n")).summary.names == ("n",)
            with pytest.raises(storaged_client.ImageUnknown):
                await client.images.get("nope")
            assert len(await client.images.get(["nope"])) == 1

    anyio.run(ask, backend=backend)


def test_rows_are_hashed_indexed_dated_and_made_plain(server: Server) -> None:
    rows = [SUMMARY, {**SUMMARY, "id": "j", "created": ""}]
    server.answers["images.list"] = {"generation": "g", "images": rows}
    with storaged_client.connect(server.path) as client:
        found = client.images.list()
        assert client.images.get is not None
    assert (found[0].id, found[-1].id, found[1:], found.index(found[1])) == ("i", "j", (found[1],), 1)
    assert found[0] in found
    assert isinstance(found, Sequence)
    assert len({*found, *found}) == 2
    assert {found, found} == {found}
    assert found[0].created == datetime(2026, 1, 2, 2, 4, 5, 678901, UTC)
    assert (found[0].created.text, found[1].created.text) == (SUMMARY["created"], "")
    assert found[1].created < found[0].created
    assert found.to_dict()["images"] == rows
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


HEAVY = "{'anyio', 'trio', 'attr', 'attrs', 'cattrs', 'filelock', 'msgspec', 'dataclasses', 'asyncio'}"


def test_importing_the_client_loads_the_standard_library_only() -> None:
    assert run_python(f"import storaged_client, sys; print(sorted({HEAVY} & set(sys.modules)))") == "[]"


def test_a_raw_call_loads_no_more(server: Server) -> None:
    code = (
        f"import storaged_client, sys; c = storaged_client.connect({server.path!r}); "
        "print(c.call('echo', [1])); c.close()"
    )
    assert run_python(f"{code}; print(sorted({HEAVY} & set(sys.modules)))") == "[1]\n[]"


def test_all_names_of_the_package_are_there_and_shown_by_help() -> None:
    errors = {cls for module in (contract_errors, client_errors) for cls in vars(module).values()
              if isinstance(cls, type) and issubclass(cls, Exception)}  # fmt: skip
    assert {cls.__name__ for cls in errors} <= set(storaged_client.__all__) <= set(dir(storaged_client))
    shown = pydoc.plain(pydoc.render_doc(storaged_client))
    for name in storaged_client.__all__:
        assert getattr(storaged_client, name) is not None
        assert name in shown or name == "__version__"
    for text in ("with storaged_client.connect() as store:", "async with storaged_client.aconnect() as store:"):
        assert text in shown
    assert "    aconnect(" in shown
    assert "    connect(" in shown


def test_errors_and_types_are_names_of_the_package() -> None:
    assert storaged_client.ImageUnknown.code == 1001
    assert storaged_client.DaemonUnavailable.exit_status == 69
    assert storaged_client.types is types
    with pytest.raises(AttributeError):
        _ = storaged_client.Nothing
    with pytest.raises(AttributeError):
        _ = storaged_client.nothing
