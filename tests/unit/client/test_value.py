"""What the protocol's types have in common."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from storaged_client.contract import params, types
from storaged_client.contract.params import Common
from storaged_client.contract.types import Damage, Holder, LayerList, Lease, Result, Stale
from storaged_client.contract.value import Timestamp, Value
from storaged_client.contract.wire import MalformedResult, structure_result

CLASSES = [
    one for module in (params, types) for one in vars(module).values() if isinstance(one, type) and attrs.has(one)
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_type_of_the_protocol_has_no_method_of_its_own_to_compare_or_print(cls: type) -> None:
    assert issubclass(cls, Value)
    assert {"__eq__", "__hash__", "__repr__"}.isdisjoint(vars(cls))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_values_print_and_compare_as_attrs_would_have_it(cls: type) -> None:
    names = [field.name for field in attrs.fields(cls)]
    written = attrs.make_class(cls.__name__, names, frozen=True, kw_only=True)
    members = {name: f"'{name}'" for name in names}
    value, theirs = cls(**members), written(**members)
    assert repr(value) == repr(theirs)
    assert value == cls(**members)
    assert hash(value) == hash(cls(**members))
    for name in names:
        other = cls(**{**members, name: "another"})
        assert value != other
        assert hash(value) != hash(other)


def test_values_of_two_classes_are_never_equal_even_of_a_class_and_its_base() -> None:
    assert Result(generation="a") != LayerList(generation="a")
    assert Damage(name="a", detail="b") != ("a", "b")
    assert Holder() != Common()


def test_a_value_is_frozen_and_survives_a_copy_and_a_pickle() -> None:
    stale = Stale(age_ms=1, reason="locked", holder=Holder(pid=7))
    assert pickle.loads(pickle.dumps(stale)) == stale
    assert copy.deepcopy(stale) == stale
    assert attrs.evolve(stale, age_ms=2) != stale
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stale.age_ms = 2


def test_a_time_is_a_datetime_that_keeps_nanoseconds_as_text() -> None:
    text = "2026-01-02T03:04:05.678901234+01:00"
    when = Timestamp.of(text)
    assert when == datetime(2026, 1, 2, 2, 4, 5, 678901, UTC)
    assert (when.text, f"{when:%Y %H}") == (text, "2026 03")
    for same in (pickle.loads(pickle.dumps(when)), copy.deepcopy(when)):
        assert (same, same.text) == (when, text)
    assert (when + timedelta(days=1)).text == "2026-01-03T03:04:05.678901+01:00"
    assert Timestamp.now(UTC).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-02T03:04:05", "0000-01-01T00:00:00Z"])
def test_a_text_that_names_no_time_is_the_year_one_and_kept(text: str) -> None:
    assert Timestamp.of(text) == Timestamp.of("0001-01-01T00:00:00Z")
    assert Timestamp.of(text).text == text


def test_a_result_has_times_and_is_made_plain_as_it_came() -> None:
    sent = {"generation": "g", "lease": "l", "images": [], "expires": "2026-01-02T03:04:05.000000001Z"}
    lease = structure_result(Lease, sent)
    assert isinstance(lease, Lease)
    assert lease.expires.year == 2026
    assert json.loads(json.dumps(lease.to_dict())) == {**sent, "stale": None}
    with pytest.raises(MalformedResult):
        structure_result(Lease, {**sent, "expires": 5})
