"""``until``, ``since`` (``after``) and ``before``: the time an image was created, to the nanosecond.

Source of the forms of ``until``: container-libs ``common/pkg/timetype/timestamp.go`` (GetTimestamp) and Go's ``time``
(ParseDuration, Parse)::

    90m  1h30m  -5s          back from now; whole seconds
    1700000000[.5]           since 1970
    2026-01-02               a day, in the daemon's zone unless one is given: 2026-01-02Z, 2026-01-02+02:00
    2026-01-02T15[:04[:05[.6]]][Z|+02:00]
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from storaged.operations.filters.language import Asked, FilterContext, Test
from storaged.operations.name_lookup import shortened
from storaged.operations.resolving import find
from storaged.snapshot.model import Image
from storaged_client.contract.errors import AmbiguousName, ImageUnknown, InvalidName
from storaged_client.times import GO_UNITS, NANOSECONDS, duration, instant

Instant = tuple[int, int]
"""Seconds since 1970, nanoseconds."""

_LONGEST: Final = 1 << 63
"""A Go duration is a signed 64-bit count of nanoseconds."""

_DATE: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d{1,2})(?::(\d\d)(?::(\d\d)([.,]\d+)?)?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_UNIX: Final = re.compile(r"(\+?\d{1,18})(?:\.(\d{1,18}))?", re.ASCII)


def until(asked: Asked, query_context: FilterContext) -> Test:
    """Created before a point in time.

    Raises:
        InvalidParams: it is not a point in time.
    """
    text = asked.text()
    try:
        limit = moment(text, query_context.now)
    except ValueError:
        raise asked.wrong(
            f'"{shortened(text)}" is not a time: filter "until" takes unix seconds, a date like 2026-01-02 or '
            "2026-01-02T15:04:05Z, or a duration like 90m or 24h"
        ) from None
    return _earlier(limit)


def before(asked: Asked, query_context: FilterContext) -> Test:
    """Created before an image.

    Raises:
        InvalidParams: there is no such image, or its time of creation is unknown.
    """
    return _earlier(_of_image(asked, query_context))


def since(asked: Asked, query_context: FilterContext) -> Test:
    """Created after an image; ``after`` is another name for it.

    Raises:
        InvalidParams: there is no such image, or its time of creation is unknown.
    """
    limit = _of_image(asked, query_context)

    def test(image: Image) -> bool | None:
        created = _created(image)
        return None if created is None else created > limit

    return test


def moment(text: str, now: datetime) -> Instant:
    """The point in time of a value of ``until``.

    Raises:
        ValueError: it is not one.
    """
    back = _back(text)
    if back is not None:
        return (_nanoseconds(now) - back) // NANOSECONDS, 0
    found = _DATE.fullmatch(text)
    if found is not None:
        day, hour, minute, second, fraction, zone = found.groups()
        clock = f"{(hour or '00'):0>2}:{minute or '00'}:{second or '00'}{fraction or ''}"
        seconds, nanoseconds = instant(f"{day}T{clock}{zone or 'Z'}")
        offset = now.utcoffset() or timedelta()
        return (seconds if zone else seconds - int(offset.total_seconds())), nanoseconds
    found = _UNIX.fullmatch(text)
    if found is None:
        raise ValueError(text)
    whole, fraction = found.groups()
    return int(whole), int((fraction or "")[:9].ljust(9, "0"))


def _back(text: str) -> int | None:
    """Nanoseconds of a Go duration; None if the text is not one. ``0`` is the year 1970, as in podman."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if " " in unsigned:
        return None
    try:
        total = duration(unsigned, GO_UNITS)
    except ValueError:
        return None
    if total >= _LONGEST:
        raise ValueError(text)
    return -total if text[0] == "-" else total


def _nanoseconds(now: datetime) -> int:
    since_1970 = now - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_1970 // timedelta(microseconds=1)) * 1000


def _earlier(limit: Instant) -> Test:
    def test(image: Image) -> bool | None:
        created = _created(image)
        return None if created is None else created < limit

    return test


def _created(image: Image) -> Instant | None:
    try:
        return instant(image.record.created)
    except ValueError:
        return None


def _of_image(asked: Asked, query_context: FilterContext) -> Instant:
    name = asked.text()
    try:
        image = find(query_context.snapshot, name, manifest=False, or_list=False, view=query_context.view).image
    except (ImageUnknown, AmbiguousName, InvalidName) as error:
        raise asked.wrong(
            f'could not find local image for filter "{asked.key}"="{shortened(name)}": {error.message}'
        ) from error
    created = _created(image)
    if created is None:
        raise asked.wrong(
            f'filter "{asked.key}"="{shortened(name)}": the time this image was created cannot be read: '
            f"{image.record.created[:64]!r}"
        )
    return created
