"""``tree``, against what podman 5.8.6 printed of the stores described here."""

from __future__ import annotations

from typing import Any

from storaged_client.cli import image_tree


def layer(name: str, parent: str | None, size: int | None, *tags: str, siblings: int = 0, **members: Any) -> Any:
    images = [{"id": (tag.strip("0123456789:.") * 64)[:64], "names": [tag]} for tag in tags]
    return {
        "id": name + "0" * (64 - len(name)),
        "parent": None if parent is None else parent + "0" * (64 - len(parent)),
        "siblings": siblings,
        "size": size,
        "size_pending": size is None,
        "images": images,
        "containers": [],
        **members,
    }


def tree(*layers: Any, **members: Any) -> Any:
    return {
        "id": "f3ed59edc57f" + "0" * 52,
        "names": ["localhost/a:1"],
        "size": 3703,
        "size_pending": False,
        "top_layer": "4aa516feb260",
        "layers": list(layers),
        **members,
    }


HEAD = "Image ID: f3ed59edc57f\nTags:     [localhost/a:1]\nSize:     3.703kB\n"

FORK = (
    layer("4aa516feb260", None, 2048, "localhost/a:1"),
    layer("e6834822401b", "4aa516feb260", 4608, "localhost/b:1", siblings=1),
    layer("dfe2ed00c91a", "e6834822401b", 4608, "localhost/d:1"),
    layer("f2cb17a2c991", "dfe2ed00c91a", 4608, "localhost/x:1", siblings=1),
    layer("5a250811b4eb", "dfe2ed00c91a", 4608, "localhost/y:1", siblings=1),
    layer("e740281d3a25", "4aa516feb260", 4608, "localhost/c:1", siblings=1),
)


def test_the_chain_is_a_flat_list_base_first() -> None:
    chain = (
        layer("d68df63f1d85", None, 6656, "localhost/a:1"),
        layer("5abfa0710879", "d68df63f1d85", 4608, "localhost/b:1", "localhost/b:2", siblings=3),
        layer("2bdbe50509d1", "5abfa0710879", 0),
    )
    assert image_tree.render(tree(*chain)) == (
        f"{HEAD}Image Layers\n"
        "├── ID: d68df63f1d85 Size: 6.656kB Top Layer of: [localhost/a:1]\n"
        "├── ID: 5abfa0710879 Size: 4.608kB Top Layer of: [localhost/b:1 localhost/b:2]\n"
        "└── ID: 2bdbe50509d1 Size:      0B\n"
        "\n"
    )


def test_what_requires_is_drawn_as_podman_draws_it() -> None:
    assert image_tree.render(tree(*FORK), requires=True) == (
        f"{HEAD}Image Layers\n"
        "├── ID: 4aa516feb260 Size: 2.048kB Top Layer of: [localhost/a:1]\n"
        "├── ID: e6834822401b Size: 4.608kB Top Layer of: [localhost/b:1]\n"
        "│   ├── ID: dfe2ed00c91a Size: 4.608kB Top Layer of: [localhost/d:1]\n"
        "│   ├── ID: f2cb17a2c991 Size: 4.608kB Top Layer of: [localhost/x:1]\n"
        "│   └── ID: 5a250811b4eb Size: 4.608kB Top Layer of: [localhost/y:1]\n"
        "└── ID: e740281d3a25 Size: 4.608kB Top Layer of: [localhost/c:1]\n"
        "\n"
    )


def test_a_top_layer_with_siblings_holds_what_stands_on_it() -> None:
    assert image_tree.render(tree(*FORK[1:5]), requires=True) == (
        f"{HEAD}Image Layers\n"
        "└── ID: e6834822401b Size: 4.608kB Top Layer of: [localhost/b:1]\n"
        "    ├── ID: dfe2ed00c91a Size: 4.608kB Top Layer of: [localhost/d:1]\n"
        "    ├── ID: f2cb17a2c991 Size: 4.608kB Top Layer of: [localhost/x:1]\n"
        "    └── ID: 5a250811b4eb Size: 4.608kB Top Layer of: [localhost/y:1]\n"
        "\n"
    )


def test_an_image_without_layers_is_its_head_alone() -> None:
    assert image_tree.render(tree(top_layer=None)) == f"{HEAD}No Image Layers\n\n"


def test_an_unknown_size_is_a_dash_and_an_untagged_layer_names_nobody() -> None:
    digested = layer("aa", None, None, images=[{"id": "b" * 64, "names": [f"localhost/x@sha256:{'c' * 64}"]}])
    assert "└── ID: aa0000000000 Size:       -\n" in image_tree.render(tree(digested, size=None))


def test_a_name_with_control_characters_reaches_no_terminal() -> None:
    hostile = layer("aa", None, 5, "localhost/\x1b[2J:1")
    for text in (image_tree.render(tree(hostile)), image_tree.paint(tree(hostile, names=["localhost/\x1b[2J:1"]))):
        assert "\x1b[2J" not in text


def plain(text: str) -> str:
    for code in ("1", "2", "32", "33", "36", "0"):
        text = text.replace(f"\x1b[{code}m", "")
    return text


def test_on_a_terminal_a_fork_is_drawn_below_its_layer_with_sizes_in_a_column() -> None:
    layers = (*FORK[:5], layer("e740281d3a25", "4aa516feb260", 45, siblings=1, containers=["d" * 64]))
    layers[1]["images"].append({"id": "9" * 64, "names": []})
    assert plain(image_tree.paint(tree(*layers))) == (
        f"{HEAD}Image Layers\n"
        "└── 4aa516feb260               2.048kB  localhost/a:1\n"
        "    ├── e6834822401b           4.608kB  localhost/b:1, <none> 999999999999\n"
        "    │   └── dfe2ed00c91a       4.608kB  localhost/d:1\n"
        "    │       ├── f2cb17a2c991   4.608kB  localhost/x:1\n"
        "    │       └── 5a250811b4eb   4.608kB  localhost/y:1\n"
        "    └── e740281d3a25               45B  container dddddddddddd\n"
    )


def test_a_chain_of_ten_thousand_layers_is_drawn() -> None:
    chain = [layer(f"a{n}b", f"a{n - 1}b" if n else None, 1, siblings=n % 2) for n in range(10_000)]
    assert image_tree.render(tree(*chain)).count("\n") == 10_005
