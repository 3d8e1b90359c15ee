"""What a hostile or careless client sends, by chance but repeatably: texts of the protocol and bytes around them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from attrs import frozen

from .reference import DEEPEST, Message

SEPARATORS = (b"", b"\n", b" ", b"\r\n\t ", b"\n\n")
_WORDS = ("", "a", "\x00", "é", "\U0001f4a9", '"', "\\", "]}", "2.0", "id", "x" * 70, "\ud800", "{", "\n")
_PIECES = (
    *b'{ } [ ] " \\ , : \n \r - 1 e 1e999 NaN null true tru "id" "fds": "jsonrpc":"2.0"'.split(b" "),
    b" ",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\\u",
    b'\\ud800"',
    b"9" * 4400,
    b"$/cancelRequest",
)
_DEEP = 20_000


@frozen(kw_only=True)
class Input:
    """``fds`` of a message are numbered from 0. ``defined``: whether the reference says all that comes of it."""

    kind: str
    messages: tuple[Message, ...]
    defined: bool = True

    @property
    def data(self) -> bytes:
        return b"".join(message.data for message in self.messages)

    @property
    def fds(self) -> int:
        return sum(len(message.fds) for message in self.messages)


class Inputs:
    """An endless supply. ``methods`` are named in calls; ``limit`` is the longest text the other end takes; with
    ``fresh`` each id of a call is new."""

    def __init__(
        self, random: Random, corpus: Sequence[bytes], *, methods: Sequence[str], limit: int, fresh: bool = False
    ) -> None:
        self._random = random
        self._corpus = corpus
        self._methods = (*methods, "no.such", "", "$/cancelRequest")
        self._limit = limit
        self._fresh = fresh
        self._last = 0
        self._kinds: tuple[tuple[int, Callable[[], Input]], ...] = (
            (30, self._calls),
            (20, self._wrong),
            (25, self._mutated),
            (8, self._noise),
            (12, self._descriptors),
            (4, self._long),
            (1, self._deep),
        )

    def next(self) -> Input:
        (make,) = self._random.choices([kind for _, kind in self._kinds], [weight for weight, _ in self._kinds])
        return make()

    # ---------------------------------------------------------------- values

    def value(self, depth: int = 3) -> Any:
        """Any JSON value."""
        random = self._random
        kind = random.randrange(9 if depth else 6)
        if kind == 0:
            return random.choice((None, True, False))
        if kind == 1:
            return random.randrange(-5, 5)
        if kind == 2:
            return random.choice((10**18, -(10**25), 1.0, -0.0, 1e300, 0.1))
        if kind < 6:
            return random.choice(_WORDS)
        if kind == 6:
            return [self.value(depth - 1) for _ in range(random.randrange(4))]
        return {random.choice(_WORDS): self.value(depth - 1) for _ in range(random.randrange(4))}

    def _id(self) -> Any:
        self._last += 1
        if self._fresh or self._random.random() < 0.4:
            return self._last if self._random.random() < 0.8 else f"n{self._last}"
        return self._random.choice((1, 2, 3, "1", 1.0, 2.5, None, "x", -1, 0, 10**20, ""))

    def _call(self) -> dict[str, Any]:
        random = self._random
        call: dict[str, Any] = {"jsonrpc": "2.0", "method": random.choice(self._methods)}
        if random.random() < 0.8:
            call["id"] = self._id()
        if random.random() < 0.6:
            call["params"] = random.choice(({"id": self._id()}, [self._id()], {"name": "x"}, {}, self.value(2)))
        return call

    def _reply(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": self._random.choice((1, 2, 3, 4, None, "x"))}
        if self._random.random() < 0.5:
            answer["result"] = self.value(1)
        else:
            answer["error"] = {"code": self._random.choice((-32603, 1.0, True, 1001)), "message": "m"}
        return answer

    def _message(self) -> Any:
        random = self._random
        chance = random.random()
        if chance < 0.75:
            return self._call()
        if chance < 0.85:
            return self._reply()
        return [
            self._call() if random.random() < 0.9 else self.value(1) for _ in range(random.choice((0, 1, 2, 3, 5, 101)))
        ]

    def _text(self, value: Any) -> bytes:
        random = self._random
        indent = random.choice((None, None, None, 0, 2))
        text = json.dumps(value, indent=indent, ensure_ascii=random.random() < 0.5)
        try:
            return text.encode()
        except UnicodeEncodeError:
            return json.dumps(value, indent=indent).encode()

    # ---------------------------------------------------------------- kinds

    def _input(self, kind: str, texts: Sequence[bytes]) -> Input:
        messages = tuple(Message(data=text + self._random.choice(SEPARATORS)) for text in texts)
        return Input(kind=kind, messages=messages)

    def _calls(self) -> Input:
        return self._input("calls", [self._text(self._message()) for _ in range(self._random.randrange(1, 5))])

    def _wrong(self) -> Input:
        """Calls and answers with one member taken away, replaced or added."""
        texts = []
        for _ in range(self._random.randrange(1, 4)):
            message: dict[str, Any] = self._call() if self._random.random() < 0.7 else self._reply()
            member = self._random.choice((*message, "fds", "id", "params", "result", "error"))
            if self._random.random() < 0.3:
                message.pop(member, None)
            else:
                message[member] = self.value(2)
            texts.append(self._text(message))
        return self._input("wrong", texts)

    def _mutated(self) -> Input:
        random = self._random
        data = bytearray(random.choice(SEPARATORS).join(random.choices(self._corpus, k=random.randrange(1, 4))))
        for _ in range(random.randrange(1, 7)):
            at = random.randrange(len(data) + 1)
            length = min(random.choice((1, 1, 1, 2, 5, 20)), len(data) - at)
            chance = random.randrange(5)
            if chance == 0:
                del data[at : at + length]
            elif chance == 1:
                data[at:at] = random.choice(_PIECES)
            elif chance == 2:
                data[at : at + length] = random.randbytes(length)
            elif chance == 3:
                data[at:at] = data[at : at + 10 * length]
            else:
                data[at : at + length] = random.choice(_PIECES)
        return self._input("mutated", [bytes(data)])

    def _noise(self) -> Input:
        random = self._random
        if random.random() < 0.3:
            return self._input("noise", [random.randbytes(random.randrange(60))])
        return self._input("noise", [b"".join(random.choices(_PIECES[:22], k=random.randrange(30)))])

    def _descriptors(self) -> Input:
        """Counts that are true, that lie, and that come true late; now and then on edges that are none."""
        random = self._random
        messages: list[Message] = []
        given = 0
        for _ in range(random.randrange(1, 4)):
            message = self._message()
            count = random.choice((0, 1, 1, 2, 3, 16))
            told = count if random.random() < 0.6 else random.choice((0, 1, 2, 17, -1, True, 1.0, None, "1"))
            if isinstance(message, dict) and (count or random.random() < 0.5):
                message["fds"] = told
            at_once = count if random.random() < 0.7 else random.randrange(count + 1)
            fds = tuple(range(given, given + count))
            given += count
            messages.append(Message(data=self._text(message) + random.choice((b"", b"\n")), fds=fds[:at_once]))
            # One at a time, for more than one would show whether the kernel may cut between them.
            messages += [Message(data=b" ", fds=(fd,)) for fd in fds[at_once:]]
        if random.random() < 0.1:
            cut = random.randrange(len(messages[0].data))
            head = Message(data=messages[0].data[:cut] or b" ", fds=messages[0].fds)
            rest = Message(data=messages[0].data[cut:] + b"{}", fds=())
            return Input(kind="descriptors", messages=(head, rest, *messages[1:]), defined=False)
        return Input(kind="descriptors", messages=tuple(messages))

    def _long(self) -> Input:
        random = self._random
        call = self._call()
        call["params"] = [""]
        missing = self._limit - len(json.dumps(call))
        call["params"] = ["x" * max(0, missing + random.choice((-1, 0, 1, 2, 700)))]
        blanks = b" " * random.choice((0, 0, 5, 3000))
        return self._input("long", [blanks + json.dumps(call).encode(), self._text(self._call())])

    def _deep(self) -> Input:
        """As deep as may be, one level deeper, so deep that no recursion follows, or shallow enough for all."""
        deep = self._random.choice((50, DEEPEST, DEEPEST + 1, _DEEP))
        ends = (b"[", b"]") if self._random.random() < 0.5 else (b'{"a":', b"}")
        middle = self._random.choice((b"", b"1", b'"'))
        return self._input("deep", [ends[0] * deep + middle + ends[1] * deep])
