"""What the protocol's types have in common."""

from __future__ import annotations

import copy
import pickle

import attrs
import pytest

from storaged_client.contract import params, types
from storaged_client.contract.params import Common
from storaged_client.contract.types import Damage, Holder, LayerList, Result, Stale
from storaged_client.contract.value import Value

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
