"""Hostile HTTP: what a client may send so that two servers in a row disagree on where a request ends.

An input is what one connection sends. Of each it is known which requests must reach podman (``wanted``), which may, for
want of a rule (``allowed``), and that nothing else does: what stands in a body, or behind a tunnel, names itself
``SMUGGLED`` as a request would.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from attrs import define, field

SMUGGLED: Final = 999
"""The number of a request that is none."""
HEAD: Final = 1 << 20
"""Bytes of a head that are taken."""

_CODINGS: Final = (
    *(b": xchunked", b": chunked, identity", b": gzip, chunked", b" : chunked", b": chunked;a=b", b": \x0bchunked"),
    *(b": chunked\r\nTransfer-Encoding: chunked", b": identity", b":\x00chunked", b": chunked\r\n , gzip"),
)
_UPGRADES: Final = (
    "Upgrade: tcp\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n",
    "Connection: Upgrade\r\n",
    "Connection: Upgrade\r\nUpgrade: tcp, h2c\r\n",
    "Connection: Upgrade\r\nUpgrade: tcp\r\nUpgrade: websocket\r\n",
)
_PATHS: Final = (
    *("/v1.44/containers/%2e%2e/echo", "/v1.44/containers/a%2F%2Fb/echo", "/v1.44/containers/%00/echo"),
    *("/v1.44/containers/../containers/echo", "//v1.44/containers/echo", "/v1.44//containers/echo"),
    *("/v1.44/containers/%zz/echo", "v1.44/containers/echo", "*", "/v1.44/containers/;a/echo"),
    *("/V1.44/containers/echo", "/v1.44/containers/echo#", "/v1.44/containers/./echo"),
)
_FIRST_LINES: Final = (
    *(b"GET  %b HTTP/1.1", b"GET %b  HTTP/1.1", b"GET\t%b HTTP/1.1", b"GET %b HTTP/1.1 ", b"GET %b HTTP/2.0", b"%b"),
    *(b"GET %b HTTP/11", b"G\0T %b HTTP/1.1", b"GET %b", b" GET %b HTTP/1.1", b"GET %b\0 HTTP/1.1"),
    *(b"GET %b HTTP/0.9", b"CONNECT %b HTTP/1.1", b"PRI * HTTP/2.0\r\n\r\nSM %b"),
)
_FIELDS: Final = (
    *("Host: e\r\n", "X: a\rb\r\n", "X\0: 1\r\n", "X Y: 1\r\n", ": 1\r\n", "X\r\n", "X: \x7f\r\n", "X: \x01\r\n"),
    *("X: \0\r\n", "(X): 1\r\n", "X: \x0b\r\n"),
)


@define(kw_only=True)
class Wanted:
    number: int
    method: str
    target: str
    body: bytes = b""


@define(kw_only=True)
class Input:
    kind: str
    number: int
    data: bytes = b""
    wanted: list[Wanted] = field(factory=list)
    """What reaches podman, in this order, where ``defined``; else no more than this."""
    defined: bool = True
    tunnel: bytes = b""
    """What goes through the tunnel at its end."""
    early: bool = False
    """The client hangs up as soon as it has written."""


class Inputs:
    """Makes them, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._count = 0

    def next(self) -> Input:
        self._count += 1
        made = Input(kind="", number=self._count)
        kind = self._random.choice(_KINDS)
        made.kind = kind.__name__.strip("_")
        kind(self, made)
        return made

    def cuts(self, size: int) -> list[int]:
        """Where the input is divided: anywhere, often nowhere."""
        if size < 2 or self._random.random() < 0.3:
            return []
        return sorted(self._random.sample(range(1, size), min(size - 1, self._random.randint(1, 6))))

    # ---------------------------------------------------------------- parts

    def target(self, made: Input, number: int, path: str = "/v1.44/containers/echo") -> str:
        return f"{path}?t={made.number}-{number}"

    def smuggled(self, made: Input) -> bytes:
        """A request in the wrong place."""
        return f"GET {self.target(made, SMUGGLED)} HTTP/1.1\r\nHost: d\r\n\r\n".encode()

    def body(self, made: Input) -> bytes:
        choice = self._random.random()
        if choice < 0.4:
            return self.smuggled(made) * self._random.randint(1, 3)
        return self._random.randbytes(self._random.randint(0, 3000))

    def chunked(self, body: bytes) -> bytes:
        """The body in chunks, with extensions and trailers now and then."""
        parts, at = [], 0
        while at < len(body):
            size = self._random.randint(1, max(1, len(body) // 2))
            piece = body[at : at + size]
            at += len(piece)
            extension = self._random.choice([b"", b"", b";a=b", b';x="y z"'])
            parts.append(
                self._random.choice([b"%x", b"%X", b"0%x"]) % len(piece) + extension + b"\r\n" + piece + b"\r\n"
            )
        return b"".join(parts) + self._random.choice([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n"])

    def honest(self, made: Input, number: int, *, fields: str = "", target: str | None = None) -> bytes:
        """A request with one meaning, which is wanted."""
        method = self._random.choice(["GET", "POST", "POST", "PUT", "DELETE"])
        body = b"" if method == "GET" else self.body(made)
        target = target or self.target(made, number)
        made.wanted.append(Wanted(number=number, method=method, target=target, body=body))
        head = f"{method} {target} HTTP/1.1\r\nHost: d\r\n{fields}"
        if not body and self._random.random() < 0.5:
            return f"{head}\r\n".encode()
        if self._random.random() < 0.5:
            return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + self.chunked(body)

    def before(self, made: Input) -> bytes:
        """Honest requests ahead of what follows."""
        return b"".join(self.honest(made, number) for number in range(self._random.choice([0, 0, 1, 2])))

    def post(self, made: Input, fields: bytes, rest: bytes, *, version: bytes = b"1.1") -> bytes:
        """A request that is not to reach podman, and a smuggled one."""
        target = self.target(made, SMUGGLED).encode()
        head = b"POST " + target + b" HTTP/" + version + b"\r\nHost: d\r\n" + fields + b"\r\n"
        return head + rest + self.smuggled(made)

    # ---------------------------------------------------------------- kinds

    def _honest_ones(self, made: Input) -> None:
        made.data = b"".join(self.honest(made, number) for number in range(self._random.randint(1, 5)))

    def _two_lengths(self, made: Input) -> None:
        first, second = self._random.sample(range(60), 2)
        fields = self._random.choice([b"Content-Length: %d\r\nContent-Length: %d\r\n", b"Content-Length: %d, %d\r\n"])
        made.data = self.before(made) + self.post(made, fields % (first, second), b"x" * first)

    def _length_and_chunks(self, made: Input) -> None:
        fields = [b"Content-Length: %d\r\n" % self._random.randint(0, 90), b"Transfer-Encoding: chunked\r\n"]
        self._random.shuffle(fields)
        made.data = self.before(made) + self.post(made, b"".join(fields), b"0\r\n\r\n")

    def _odd_codings(self, made: Input) -> None:
        fields = b"Transfer-Encoding" + self._random.choice(_CODINGS) + b"\r\n"
        made.data = self.before(made) + self.post(made, fields, b"0\r\n\r\n")

    def _odd_lengths(self, made: Input) -> None:
        length = self._random.choice(
            [b"+5", b"-1", b"5 5", b"0x5", b"5.0", b"1e1", b"9" * 30, b"\xb25", b"5;a", b"1_0"]
        )
        made.data = self.before(made) + self.post(made, b"Content-Length: " + length + b"\r\n", b"hello")

    def _old_with_chunks(self, made: Input) -> None:
        fields = b"Transfer-Encoding: chunked\r\n"
        made.data = self.before(made) + self.post(made, fields, b"0\r\n\r\n", version=b"1.0")

    def _odd_chunks(self, made: Input) -> None:
        size = self._random.choice(
            [b"-1", b"+5", b"0x5", b"5 5", b"", b" 5", b"5\r", b"5\n", b"fffffffffffffffff", b"5;a\x00b", b"g", b"5_0"]
        )
        chunk = self._random.choice(
            [size + b"\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello0\r\n\r\n"]
        )
        made.defined = False  # 5 and a bare line end is taken by some
        made.wanted.append(Wanted(number=SMUGGLED + 1, method="POST", target="", body=b"hello"))
        target = self.target(made, SMUGGLED + 1)
        head = f"POST {target} HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        made.data = head + chunk
        made.wanted[0].target = target

    def _bare_line_ends(self, made: Input) -> None:
        """Taken by h11 as by Go; what reaches podman has whole ones."""
        made.defined = False
        head, _, body = self.honest(made, 0).partition(b"\r\n\r\n")
        made.data = head.replace(b"\r\n", b"\n") + self._random.choice([b"\n\n", b"\r\n\r\n", b"\n\r\n"]) + body

    def _folded_fields(self, made: Input) -> None:
        made.defined = False
        fold = self._random.choice([" ", "\t", "   "])
        first = self._random.choice(["X-A: b\r\n", "X-A:\r\n", ""])
        second = self._random.choice(["b", "Content-Length: 7", "Host: e", "Transfer-Encoding: chunked"])
        made.data = self.honest(made, 0, fields=f"{first}{fold}{second}\r\n")

    def _odd_fields(self, made: Input) -> None:
        made.defined = False
        made.data = self.honest(made, 0, fields=self._random.choice(_FIELDS))

    def _fields_of_the_connection(self, made: Input) -> None:
        named = self._random.choice(
            ["Content-Length", "Host, Transfer-Encoding", "close, X-A", "Via", "Upgrade", "X-A"]
        )
        fields = f"Connection: {named}\r\nX-A: 1\r\nTE: trailers\r\nKeep-Alive: 9\r\nProxy-Connection: x\r\n"
        made.data = self.honest(made, 0, fields=fields)

    def _upgrades_that_are_none(self, made: Input) -> None:
        made.data = self.honest(made, 0, fields=self._random.choice(_UPGRADES)) + self.honest(made, 1)

    def _absolute_targets(self, made: Input) -> None:
        host = self._random.choice(["http://d", "HTTP://user:secret@e:1", "https://[::1]"])
        made.data = self.honest(made, 0, target=host + self.target(made, 0)) + self.honest(made, 1)

    def _odd_targets(self, made: Input) -> None:
        made.defined = False
        path = self._random.choice(_PATHS)
        made.data = self.honest(made, 0, target=self.target(made, 0, path)) + self.honest(made, 1)

    def _odd_first_lines(self, made: Input) -> None:
        line = self._random.choice(_FIRST_LINES) % self.target(made, SMUGGLED).encode()
        made.data = self.before(made) + line + b"\r\nHost: d\r\n\r\n" + self.smuggled(made)

    def _long_heads(self, made: Input) -> None:
        """Up to what is taken, and a little more, which is taken where it came at once."""
        made.defined = self._random.random() < 0.9
        size = self._random.randint(1000, 60_000) if made.defined else HEAD + self._random.randint(-500, 9000)
        made.data = self.honest(made, 0, fields=f"X-Long: {'x' * size}\r\n")

    def _endless(self, made: Input) -> None:
        """A body that does not end before the connection does."""
        made.early = self._random.random() < 0.5
        target = self.target(made, SMUGGLED).encode()
        head = b"POST " + target + b" HTTP/1.1\r\nHost: d\r\n"
        if self._random.random() < 0.5:
            rest = (
                b"Transfer-Encoding: chunked\r\n\r\n"
                + b"3e8\r\n"
                + (b"x" * 1000 + b"\r\n3e8\r\n") * self._random.randint(0, 90)
            )
        else:
            rest = b"Content-Length: 99999999999\r\n\r\n" + b"x" * self._random.randint(0, 90_000)
        made.data = self.before(made) + head + rest

    def _cut_off(self, made: Input) -> None:
        whole = b"".join(self.honest(made, number) for number in range(3))
        made.data = whole[: self._random.randrange(len(whole))]
        made.defined, made.early = False, self._random.random() < 0.7

    def _expecting(self, made: Input) -> None:
        made.data = self.honest(made, 0, fields="Expect: 100-continue\r\n") + self.honest(made, 1)

    def _tunnels(self, made: Input) -> None:
        number = 5
        made.data = self.before(made)
        target = self.target(made, number, "/v1.44/containers/attach")
        upgrade = self._random.choice(["Connection: Upgrade\r\nUpgrade: tcp\r\n", ""])
        body = self._random.choice([b"", b'{"Detach":false}'])
        made.wanted.append(Wanted(number=number, method="POST", target=target, body=body))
        made.tunnel = self._random.choice(
            [b"", self.smuggled(made), self.smuggled(made) * 3, self._random.randbytes(9000)]
        )
        head = f"POST {target} HTTP/1.1\r\nHost: d\r\n{upgrade}Content-Length: {len(body)}\r\n\r\n"
        made.data += head.encode() + body + made.tunnel

    def _noise(self, made: Input) -> None:
        made.data = self._random.randbytes(self._random.randint(1, 5000))

    def _flipped_bytes(self, made: Input) -> None:
        made.defined = False
        whole = bytearray(b"".join(self.honest(made, number) for number in range(2)))
        for _ in range(self._random.randint(1, 4)):
            whole[self._random.randrange(len(whole))] = self._random.randrange(256)
        made.data = bytes(whole)


_KINDS: Final[list[Callable[[Inputs, Input], None]]] = [
    method for name, method in vars(Inputs).items() if name.startswith("_") and not name.startswith("__")
]
