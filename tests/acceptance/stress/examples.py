"""The examples of docs/protocol.md, as they stand there."""

from __future__ import annotations

import json
from pathlib import Path

_TEXT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()


def examples(text: str = _TEXT) -> list[bytes]:
    """Every JSON object of the document, byte for byte, each once: requests, answers and what stands in a sentence."""
    decoder = json.JSONDecoder()
    found: dict[bytes, None] = {}
    at = text.find("{")
    while at >= 0:
        try:
            _, end = decoder.raw_decode(text, at)
            found[text[at:end].encode()] = None
        except ValueError:
            end = at + 1
        at = text.find("{", end)
    return list(found)


def requests(found: list[bytes]) -> list[bytes]:
    """Those that a client sends."""
    return [example for example in found if "method" in json.loads(example)]
