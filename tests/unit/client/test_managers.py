from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import storaged_client
from storaged_client import managers
from storaged_client.calls import wire_filters
from storaged_client.contract import methods, types
from storaged_client.contract.methods import METHODS
from storaged_client.contract.params import Common
from tests.unit.client.server import Server


@pytest.fixture
def server(short_dir: Path) -> Iterator[Server]:
    with Server(str(short_dir / "s")) as server:
        yield server


TELLING = {"store.check", "images.remove", "images.prune", "manifests.remove"}


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
    telling = {"progress"} if method in TELLING else set()
    assert shared == {one.name for one in attrs.fields(Common)} - {"progress_token"} | telling
    assert verb("", method).__doc__
    assert verb("", method).__doc__ == verb("Async", method).__doc__
    assert f"-> 'Call[t.{METHODS[method].result.__name__}]'" in str(blocking)


def test_no_verb_is_without_a_method() -> None:
    for prefix, kind in (("", managers.Manager), ("Async", managers.AsyncManager)):
        found = {
            f"{cls.__name__.removeprefix(prefix).lower()}.{name}"
            for cls in kind.__subclasses__()
            for name in vars(cls)
            if not name.startswith("_")
        }
        assert found == set(METHODS)


def test_a_verb_sends_what_differs_from_the_default_and_nothing_else(server: Server) -> None:
    server.answers["images.list"] = {"images": [], "generation": "g"}
    server.answers["images.why"] = {"unchanged": True, "generation": "g"}
    with storaged_client.connect(server.path) as client:
        assert client.images.list() == types.ImageList(generation="g")
        client.images.list({"dangling": True}, True, fields=["id"], consistency="strict", timeout=3)
        assert client.images.why("x", if_generation="g") == types.Unchanged(generation="g")
    assert server.seen == [
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
    assert server.seen == [
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
        for wrong in (
            lambda: client.images.get("abc"),
            lambda: client.images.list("dangling=true"),
            lambda: client.images.list(fields="id"),
            lambda: client.images.tag("a", "b"),
            lambda: client.images.remove("a"),
            lambda: client.store.lease("a"),
        ):
            with pytest.raises(TypeError):
                wrong()
    assert server.seen == []


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


def test_errors_and_types_are_names_of_the_package() -> None:
    assert storaged_client.ImageUnknown.code == 1001
    assert storaged_client.DaemonUnavailable.exit_status == 69
    assert storaged_client.types is types
    with pytest.raises(AttributeError):
        _ = storaged_client.Nothing
    with pytest.raises(AttributeError):
        _ = storaged_client.nothing
