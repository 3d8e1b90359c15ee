"""Every example of docs/protocol.md cut at every byte, alone and joined to every other: the same comes of it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

from tests.support.daemon import Daemon
from tests.support.report import Report

from .fuzz_peer import MakePeer, limited, make_peer
from .fuzz_socket import exchange
from .inputs import SEPARATORS, Input
from .reference import Message, meaning
from .trace import BOUNDS, listen


def into_peer(report: Report, examples: Sequence[bytes], make: MakePeer = make_peer) -> None:
    """Alone and in pairs, with and without something between them, against the reference."""
    streams = [*examples]
    streams += [a + between + b for a, b in itertools.product(examples, repeat=2) for between in SEPARATORS]
    cuts = wrong = 0
    for stream in streams:
        said = meaning([Message(data=stream)], BOUNDS, asked=range(1, 4))
        each = Input(kind="example", messages=(Message(data=stream),))
        for cut in range(len(stream)):
            cuts += 1
            with limited():
                trace = listen(make(), [Message(data=part) for part in (stream[:cut], stream[cut:]) if part])
            problem = trace.problem(each) or trace.differs(said)
            if problem:
                wrong += 1
                report.claim(False, f"cut at {cut}: {problem}: {stream!r:.600}")
        if wrong > 10:
            break
    report.claim(not wrong, f"{wrong} cuts of examples make a difference")
    report.claim(cuts > 1_000, f"only {cuts} cuts: where are the examples?")
    report.figure(
        "examples of the document, and their cuts alone and joined, into the peer", f"{len(examples)}, {cuts}"
    )


def into_socket(report: Report, daemon: Daemon, examples: Sequence[bytes]) -> None:
    """The daemon has read the first part before the second is sent."""
    where, cuts = daemon.backend, 0
    for example in [*examples, _joined(examples)]:
        whole = _said(exchange(daemon.path, [Message(data=example)]).replies)
        for cut in range(1, len(example)):
            cuts += 1
            found = exchange(daemon.path, [Message(data=example[:cut]), Message(data=example[cut:])], apart=True)
            said = _said(found.replies)
            if found.problem or said != whole:
                text = f"{where}: cut at {cut}: {found.problem or said!r:.300}, whole {whole!r:.300}: {example!r:.300}"
                report.claim(False, text)
    report.claim(cuts > 400, f"{where}: only {cuts} cuts: where are the examples?")
    daemon.claim_whole(report)
    report.figure(f"{where}: cuts of the document's examples through the socket", cuts)


def _joined(examples: Sequence[bytes]) -> bytes:
    """All of them, each with an id of its own: one that is in flight is refused, and that is a matter of speed."""
    parts = [re.sub(rb'("id": ?)\d+', rb"\g<1>%d" % number, example) for number, example in enumerate(examples)]
    return b"".join(parts)


def _said(replies: Sequence[Any]) -> list[str]:
    """The answers in some order, without what is another each time."""
    kept = [reply for reply in replies if isinstance(reply, list) or "method" not in reply]
    return sorted(re.sub(r'"(generation|plan)": "[^"]*"', r'"\1": ""', json.dumps(reply)) for reply in kept)
