from __future__ import annotations

import pytest

from storaged_client.podman import names

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("localhost/app:latest", ("localhost/app", "latest")),
        ("localhost:5000/app", ("localhost:5000/app", "<none>")),
        ("localhost:5000/app:v1", ("localhost:5000/app", "v1")),
        (f"quay.io/dig/only@{DIGEST}", ("quay.io/dig/only", "<none>")),
        (f"quay.io/dig/both:t@{DIGEST}", ("quay.io/dig/both", "t")),
        ("", ("<none>", "<none>")),
        (":", ("<none>", "<none>")),
    ],
)
def test_a_name_is_split_as_podman_splits_it(name: str, pair: tuple[str, str]) -> None:
    assert names.split(name) == pair


def test_digest_only_names_are_hidden_by_a_tagged_one() -> None:
    both = [f"quay.io/dig/two@{DIGEST}", "localhost/dock:latest", f"quay.io/dig/both:t@{DIGEST}"]
    assert names.shown(both) == [("localhost/dock", "latest"), ("quay.io/dig/both", "t")]


def test_digest_only_names_alone_are_one_row() -> None:
    assert names.shown([f"a.io/x@{DIGEST}", f"a.io/y@{DIGEST}"]) == [("a.io/x", "<none>")]


def test_no_name_is_one_row() -> None:
    assert names.shown([]) == [("<none>", "<none>")]


def test_repository_digests_are_sorted_and_unique() -> None:
    found = names.repository_digests(["b/x:1", "b/x:2", "a/x:1"], ["sha256:2", "sha256:1"])
    assert found == ["a/x@sha256:1", "a/x@sha256:2", "b/x@sha256:1", "b/x@sha256:2"]
