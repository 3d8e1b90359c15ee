"""Filters of a listing: podman's language, as strings or objects, compiled into one test.

::

    key=value    key!=value    {"key": ..., "value": ..., "negate": ...}

All filters must hold, several of one key too. The first ``=`` divides; a ``!`` before it negates, so a
value may hold ``!=`` (podman divides there). A key that says yes or no may be repeated only with the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from attrs import frozen

from storaged.errors import InvalidParams
from storaged.operations.globs import BadPattern, compile_glob
from storaged.operations.naming import shortened
from storaged.snapshot.model import Image
from storaged_client.contract.params import Filter

_Test = Callable[[Image], bool]

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
"""Go's ``strconv.ParseBool``."""

_FLAGS: dict[str, _Test] = {
    "dangling": lambda image: image.dangling,
    "intermediate": lambda image: image.intermediate,
    "manifest": lambda image: image.is_list,
    "readonly": lambda image: image.read_only,
}

SERVED = (*_FLAGS, "label", "id")
MOST_FILTERS = 256
"""Filters of one listing: each is asked of every image, on the loop that serves everybody."""

LONGEST_PATTERN = 1024
"""Characters of a label pattern; a key of a label seldom has a hundred."""

NOT_YET_SERVED = ("after", "before", "containers", "digest", "reference", "since", "until")


@frozen(kw_only=True)
class Compiled:
    """The test, and what was asked of each key that says yes or no."""

    tests: tuple[_Test, ...]
    flags: Mapping[str, bool]

    def __call__(self, image: Image) -> bool:
        return all(test(image) for test in self.tests)


@frozen(kw_only=True)
class _Asked:
    path: str
    key: str
    value: object
    negate: bool

    def wrong(self, text: str, member: str = "") -> InvalidParams:
        return InvalidParams(text, path=self.path + member)


def compile_filters(filters: Sequence[Filter]) -> Compiled:
    """Compile them.

    Raises:
        InvalidParams: a filter is malformed, unknown, contradicted by another one or not served yet, or there are
            too many; ``path`` says which.
    """
    if len(filters) > MOST_FILTERS:
        raise InvalidParams(f"{len(filters)} filters are too many: a listing takes {MOST_FILTERS}", path="filters")
    tests: list[_Test] = []
    flags: dict[str, bool] = {}
    for at, given in enumerate(filters):
        asked = _divide(given, f"filters[{at}]")
        if asked.key in _FLAGS:
            wanted = _boolean(asked) is not asked.negate
            if flags.setdefault(asked.key, wanted) is not wanted:
                raise asked.wrong(f'filter "{asked.key}" is given twice with opposite meanings: nothing can match both')
            tests.append(_flag(_FLAGS[asked.key], wanted))
        elif asked.key == "label":
            tests.append(_negated(_label(asked), asked.negate))
        elif asked.key == "id":
            tests.append(_negated(_id(asked), asked.negate))
        elif asked.key in NOT_YET_SERVED:
            raise asked.wrong(
                f'filter "{asked.key}" is not served yet; served are {", ".join(SERVED)}. '
                f"`podman images --filter {asked.key}=...` has it",
                ".key",
            )
        else:
            raise asked.wrong(f'unknown filter "{shortened(asked.key)}"; served are {", ".join(SERVED)}', ".key")
    return Compiled(tests=tuple(tests), flags=flags)


def _divide(given: Filter, path: str) -> _Asked:
    if isinstance(given, str):
        key, equals, value = given.partition("=")
        if not equals:
            raise InvalidParams(f'invalid filter "{shortened(given)}": it must read key=value or key!=value', path=path)
        return _Asked(path=path, key=key.removesuffix("!"), value=value, negate=key.endswith("!"))
    if not isinstance(given, Mapping):
        raise InvalidParams("a filter is a string (key=value) or an object (key, value, negate)", path=path)
    return _from_object(given, path)


def _from_object(given: Mapping[object, object], path: str) -> _Asked:
    for name in given:
        if name not in ("key", "value", "negate"):
            member = shortened(str(name))
            raise InvalidParams(f'a filter has key, value and negate, not "{member}"', path=f"{path}.{member}")
    key, negate = given.get("key"), given.get("negate", False)
    if not isinstance(key, str) or not key:
        raise InvalidParams("a filter needs a key, as a string", path=f"{path}.key")
    if "value" not in given:
        raise InvalidParams(f'filter "{shortened(key)}" needs a value', path=f"{path}.value")
    if not isinstance(negate, bool):
        raise InvalidParams("negate is true or false", path=f"{path}.negate")
    return _Asked(path=path, key=key, value=given["value"], negate=negate)


def _boolean(asked: _Asked) -> bool:
    if isinstance(asked.value, bool):
        return asked.value
    found: bool | None = _BOOLEANS.get(asked.value) if isinstance(asked.value, str) else None
    if found is None:
        raise asked.wrong(f'filter "{asked.key}" takes true or false, not {shortened(repr(asked.value))}', ".value")
    return found


def _text(asked: _Asked) -> str:
    if not isinstance(asked.value, str):
        raise asked.wrong(f'the value of filter "{asked.key}" is a string', ".value")
    return asked.value


def _label(asked: _Asked) -> _Test:
    """``k`` or ``k=v``; ``k=`` is ``k``. A key with ``*`` matches anywhere in a label's key, ``/`` being no border."""
    key, _, value = _text(asked).partition("=")
    if "*" not in key:
        return lambda image: _has_label(_labels(image), key, value)
    if len(key) > LONGEST_PATTERN:
        raise asked.wrong(f"a label pattern has at most {LONGEST_PATTERN} characters, not {len(key)}", ".value")
    try:
        glob = compile_glob(f"*{key}*".replace("/", "|"))
    except BadPattern as error:
        raise asked.wrong(f'the label pattern "{shortened(key)}" is malformed: {error}', ".value") from error

    @cache
    def fits(name: str) -> bool:
        """Images have few different keys among them."""
        return name == key or glob(name.replace("/", "|"))

    def test(image: Image) -> bool:
        return any((not value or found == value) and fits(name) for name, found in _labels(image).items())

    return test


def _labels(image: Image) -> Mapping[str, str]:
    if image.is_list or image.content.config is None:
        return {}
    return image.content.config.labels or {}


def _has_label(labels: Mapping[str, str], key: str, value: str) -> bool:
    return key in labels and (not value or labels[key] == value)


def _id(asked: _Asked) -> _Test:
    prefix = _text(asked).removeprefix("sha256:")
    return lambda image: image.id.startswith(prefix)


def _flag(property_: _Test, wanted: bool) -> _Test:
    return lambda image: property_(image) is wanted


def _negated(test: _Test, negate: bool) -> _Test:
    return (lambda image: not test(image)) if negate else test
