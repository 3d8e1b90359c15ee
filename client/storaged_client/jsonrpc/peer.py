"""One end of a JSON-RPC connection, without I/O.

::

    receive_data(bytes, fds) -> events      what the other end wants from us, or did wrong
    send_*, *_parts(...) -> bytes           what to write now (nothing while a batch is incomplete)

Mistakes of the other end become events (``Reply`` with the error, ``Close``); mistakes of this end raise
LocalProtocolError. Both ends are equal: each may send requests and answer them. A peer belongs to one task or is
guarded by one lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from storaged_client.json_limits import REPLY_BYTES

from . import messages
from .events import (
    Batch,
    Cancel,
    Close,
    Discard,
    ErrorResponse,
    Event,
    Notification,
    Reply,
    Request,
    Response,
    Stray,
)
from .framing import BLANKS, NOTHING, Framer, NotJSON, TextTooLong, parse
from .messages import ID, Answered, Called, Fault, Invalid, LocalProtocolError

_TOO_LATE = "the next text began before the announced descriptors came"


class _DescriptorMismatch(Exception):
    def __init__(self, text: str, limit: str = "") -> None:
        super().__init__(text)
        self.limit = limit


class Peer:
    """One end of a connection.

    ``max_message`` limits one text of the other end, in bytes, ``max_batch`` the entries of a batch, ``max_fds`` the
    descriptors of a message, ``max_reply`` one answer of ours, in bytes: a longer one is replaced by TooLarge.
    ``decode`` and ``lines``: see :class:`~.framing.Framer`.
    """

    def __init__(
        self,
        max_message: int,
        max_batch: int = 100,
        max_fds: int = 16,
        decode: Callable[[bytes], Any] = parse,
        *,
        max_reply: int = REPLY_BYTES,
        lines: bool = False,
    ) -> None:
        self._decode = decode
        self._framer = Framer(max_message, self._measured, lines=lines)
        self._size = 0
        """Bytes of the last text."""
        self._max_batch = max_batch
        self._max_fds = max_fds
        self._max_reply = max_reply
        self._fds: deque[int] = deque()
        self._waiting: tuple[Any, int] | None = None
        """A text that still lacks descriptors, and how many it needs."""
        self._earlier = 0
        """The number of queued descriptors from earlier reads: they belong to a text that began there, or to one
        before."""
        self._incoming: dict[ID, Request] = {}
        self._outgoing: set[ID] = set()
        self._last_id = 0
        self._closed = False
        self.texts = 0
        """The number of complete texts of the other end."""

    @property
    def work(self) -> int:
        """Bytes examined so far, counting repetitions: linear in the bytes received."""
        return self._framer.work

    @property
    def held(self) -> int:
        """Bytes received and kept."""
        return self._framer.held

    @property
    def unfinished(self) -> bool:
        """Whether a text has begun and is not complete, including its descriptors."""
        return not self._closed and (self._waiting is not None or self._framer.held > 0)

    @property
    def in_flight(self) -> int:
        """Unanswered requests of the other end."""
        return len(self._incoming)

    def _measured(self, text: bytes) -> Any:
        self._size = len(text)
        return self._decode(text)

    # ------------------------------------------------------------ receiving

    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> list[Event]:
        """Process the result of one read of the stream, with its descriptors. Never raises."""
        if self._closed:
            return [Discard(tuple(fds))] if fds else []
        events: list[Event] = []
        self._earlier = len(self._fds)
        self._fds.extend(fds)
        if self._waiting is not None and data.strip(BLANKS):
            # Descriptors come with the bytes of their text: these belong to the next text, and are not the missing
            # ones.
            self._fail(events, messages.DESCRIPTOR_MISMATCH, _TOO_LATE)
            return events
        self._framer.feed(data)
        self._drive(events, self._framer.pull)
        if self._fds and not self._closed:
            self._drop_untaken(events)
        return events

    def receive_eof(self) -> list[Event]:
        """The other end will send no more. Requests in flight may still be answered. Never raises."""
        if self._closed:
            return []
        events: list[Event] = []
        self._drive(events, self._framer.finish)
        if self._waiting is not None and not self._closed:
            self._fail(events, messages.DESCRIPTOR_MISMATCH, "the stream ended before the announced descriptors came")
        if not self._closed:
            self._shut(events, "end of stream")
        return events

    def expire(self, seconds: float, limit: str = "") -> list[Event]:
        """The text was not complete within this many seconds, the limit of this name: refuse it. Never raises."""
        events: list[Event] = []
        if self.unfinished:
            fault = messages.PARSE_ERROR if self._waiting is None else messages.DESCRIPTOR_MISMATCH
            text = f"a text must be complete within {seconds:g} s, with its descriptors: write it at once"
            self._fail(events, fault, text, {"seconds": seconds}, limit=limit)
        return events

    def abandon(self) -> None:
        """The connection is gone: forget requests in flight and bytes kept. Take the events of ``receive_eof``
        first."""
        self._closed = True
        self._incoming.clear()
        self._outgoing.clear()
        self._framer = Framer(0)

    def _drive(self, events: list[Event], pull: Callable[[], Any]) -> None:
        try:
            while True:
                if self._waiting is None:
                    value = pull()
                    if value is NOTHING:
                        return
                    self.texts += 1
                    self._waiting = (value, self._announced(value))
                value, count = self._waiting
                if count > len(self._fds):
                    if self._framer.begun:
                        raise _DescriptorMismatch(_TOO_LATE)
                    return
                self._waiting = None
                self._take(value, tuple(self._fds.popleft() for _ in range(count)), events)
                if self._earlier > count:
                    # They came before this text had ended, so the next one, which may be here already, has no claim to
                    # them.
                    events.append(Discard(tuple(self._fds.popleft() for _ in range(self._earlier - count))))
                self._earlier = 0
        except NotJSON as error:
            if self._waiting is not None:
                self._fail(events, messages.DESCRIPTOR_MISMATCH, "the announced descriptors did not come")
            else:
                self._fail(events, messages.PARSE_ERROR, f"not a JSON text: {error}")
        except TextTooLong as error:
            data = {"limit": error.limit}
            self._fail(events, messages.MESSAGE_TOO_LARGE, str(error), data, limit="request_bytes")
        except _DescriptorMismatch as error:
            self._fail(events, messages.DESCRIPTOR_MISMATCH, str(error), limit=error.limit)

    def _announced(self, value: Any) -> int:
        count = value.get("fds", 0) if type(value) is dict else 0
        if type(count) is not int or not 0 <= count <= self._max_fds:
            too_many = type(count) is int and count > 0
            text = f'the member "fds" must be a number from 0 to {self._max_fds}'
            raise _DescriptorMismatch(text, "descriptors" if too_many else "")
        return count

    def _drop_untaken(self, events: list[Event]) -> None:
        # Bytes of one message and a later message's descriptors may come in one read, so the rest may belong to a text
        # that has begun, and to nothing else.
        if self._waiting is None and not self._framer.begun:
            events.append(Discard(tuple(self._fds)))
            self._fds.clear()
        elif len(self._fds) > self._max_fds:
            text = f"more than {self._max_fds} descriptors for one message"
            self._fail(events, messages.DESCRIPTOR_MISMATCH, text, limit="descriptors")

    def _fail(
        self, events: list[Event], fault: Fault, message: str, data: dict[str, Any] | None = None, *, limit: str = ""
    ) -> None:
        events.append(Reply(messages.encode_fault(None, fault, message, data) + b"\n", limit))
        self._shut(events, message)

    def _shut(self, events: list[Event], reason: str) -> None:
        self._closed = True
        self._waiting = None
        events.append(Close(reason))
        if self._fds:
            events.append(Discard(tuple(self._fds)))
            self._fds.clear()

    def _take(self, value: Any, fds: tuple[int, ...], events: list[Event]) -> None:
        if type(value) is list:
            self._take_batch(value, events)
            return
        message = messages.read_message(value)
        if type(message) is Answered:
            self._take_answer(message, fds, events)
            return
        refusal = self._take_call(message, fds, None, self._size, events)
        if refusal is not None:
            events.append(Reply(refusal + b"\n"))
            if fds:
                events.append(Discard(fds))

    def _take_batch(self, values: list[Any], events: list[Event]) -> None:
        if not 0 < len(values) <= self._max_batch:
            text = f"a batch has from 1 to {self._max_batch} entries"
            error = messages.encode_fault(None, messages.INVALID_REQUEST, text, None)
            events.append(Reply(error + b"\n", "batch" if values else ""))
            return
        batch = Batch(len(values))
        size = -(-self._size // len(values))
        for place, value in enumerate(values):
            message: Called | Answered | Invalid
            if type(value) is dict and value.get("fds"):
                message = Invalid(None, "descriptors cannot come with a batch", True)
            else:
                message = messages.read_message(value)
            if type(message) is Answered:
                self._take_answer(message, (), events)
                continue
            before = len(self._incoming)
            refusal = self._take_call(message, (), batch, size, events)
            if refusal is not None:
                batch.put(place, (refusal,))
            elif len(self._incoming) > before:
                batch.places[message.id] = place
        answer = batch.take()
        if answer:
            events.append(Reply(b"".join(answer)))

    def _take_answer(self, answer: Answered, fds: tuple[int, ...], events: list[Event]) -> None:
        if answer.error is not None and answer.id is None:
            events.append(ErrorResponse(None, answer.error))
        elif answer.id not in self._outgoing:
            events.append(Stray(answer.id, "an answer to nothing"))
        else:
            self._outgoing.discard(answer.id)
            if answer.error is None:
                events.append(Response(answer.id, answer.result, fds))
                return
            events.append(ErrorResponse(answer.id, answer.error))
        if fds:
            events.append(Discard(fds))

    def _take_call(
        self,
        message: Called | Answered | Invalid,
        fds: tuple[int, ...],
        batch: Batch | None,
        size: int,
        events: list[Event],
    ) -> bytes | None:
        """Make the event of a call; or return the error that refuses it."""
        if type(message) is Invalid:
            if message.reply:
                return messages.encode_fault(message.id, messages.INVALID_REQUEST, message.reason, None)
            events.append(Stray(message.id, message.reason))
            if fds:
                events.append(Discard(fds))
            return None
        assert type(message) is Called
        if not message.answered:
            if message.method == messages.CANCEL:
                self._take_cancel(message.params, events)
                if fds:
                    events.append(Discard(fds))
            else:
                events.append(Notification(message.method, message.params, fds, size))
            return None
        if message.id in self._incoming:
            # Answered without the id: with it, this would look like the answer of the first request.
            data = {"id": message.id}
            return messages.encode_fault(None, messages.INVALID_REQUEST, "this id is in flight already", data)
        request = Request(message.id, message.method, message.params, fds, batch, size)
        self._incoming[message.id] = request
        events.append(request)
        return None

    def _take_cancel(self, params: Any, events: list[Event]) -> None:
        wanted: Any = NOTHING
        if type(params) is dict:
            wanted = params.get("id", NOTHING)
        elif type(params) is list and len(params) == 1:
            wanted = params[0]
        if wanted is None or type(wanted) in (str, int, float):
            request = self._incoming.get(wanted)
            if request is not None:
                events.append(Cancel(request.id))

    # ------------------------------------------------------------ sending

    def send_request(
        self, method: str, params: dict[str, Any] | list[Any] | None, *, id: ID = None, fds: int = 0
    ) -> tuple[ID, bytes]:
        """Begin a request; the answer comes as ``Response`` or ``ErrorResponse`` with its id.

        ``fds`` is the number of descriptors that will be sent with the bytes.

        Raises: LocalProtocolError, if the id is in flight or the params are not JSON.
        """
        if id is None:
            self._last_id += 1
            id = self._last_id
        if id in self._outgoing:
            raise LocalProtocolError(f"the id {id!r} is in flight already")
        data = messages.encode_call(id, method, params, fds=fds) + b"\n"
        self._outgoing.add(id)
        return id, data

    def withdraw(self, id: ID) -> None:
        """Forget a request of ours whose bytes were never sent."""
        self._outgoing.discard(id)

    def send_notification(self, method: str, params: dict[str, Any] | list[Any] | None) -> bytes:
        """Raises: LocalProtocolError, if the params are not JSON."""
        return messages.encode_call(None, method, params, answered=False) + b"\n"

    def send_cancel(self, id: ID) -> bytes:
        """Note that we no longer want the answer to a request of ours; it may still come."""
        return self.send_notification(messages.CANCEL, {"id": id})

    def result_parts(self, request: Request, result: Sequence[bytes]) -> tuple[bytes, ...]:
        """Answer a request, in parts to be written one after the other; no parts while its batch is incomplete.

        ``result`` is JSON in parts, which are not checked, and passed on without a copy.

        Raises: LocalProtocolError, if the request was answered already or is not of this peer.
        """
        self._release(request)
        held = request.batch.size if request.batch else 0
        if held + sum(map(len, result)) > self._max_reply:
            text = f"a reply may have at most {self._max_reply} bytes: ask for less with limit, cursor or fields"
            data = {"limit": self._max_reply}
            return self._answer(request, (messages.encode_fault(request.id, messages.TOO_LARGE, text, data),))
        head, tail = messages.around_result(request.id)
        return self._answer(request, (head, *result, tail))

    def error_parts(
        self, request: Request, code: int, message: str, data: dict[str, Any] | None = None
    ) -> tuple[bytes, ...]:
        """Answer a request with an error, as ``result_parts``.

        Raises: LocalProtocolError, as ``result_parts``; also if ``data`` is not JSON.
        """
        part = messages.encode_error(request.id, code, message, data)
        self._release(request)
        return self._answer(request, (part,))

    def _release(self, request: Request) -> None:
        if self._incoming.get(request.id) is not request:
            raise LocalProtocolError(f"request {request.id!r} is not in flight")
        del self._incoming[request.id]

    @staticmethod
    def _answer(request: Request, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        batch = request.batch
        if batch is None:
            return (*parts, b"\n")
        batch.put(batch.places.pop(request.id), parts)
        return batch.take()
