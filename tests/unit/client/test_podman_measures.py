"""Sizes and ages, against what podman 5.8.6 printed of a store made of these very numbers."""

from __future__ import annotations

import pytest

from storaged_client.podman import measures

HOUR = 3600
DAY = 86400


@pytest.mark.parametrize(
    ("bytes_", "podman"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1004, "1 kB"),
        (1049, "1.05 kB"),
        (9994, "9.99 kB"),
        (9995, "9.99 kB"),
        (9996, "10 kB"),
        (99949, "99.9 kB"),
        (99950, "100 kB"),
        (999499, "999 kB"),
        (999500, "1e+03 kB"),
        (999999999, "1e+03 MB"),
        (1000000, "1 MB"),
        (1015000, "1.01 MB"),
        (123456789012, "123 GB"),
        (10**15, "1 PB"),
        (5 * 10**18, "5 EB"),
    ],
)
def test_sizes_have_podmans_digits(bytes_: int, podman: str) -> None:
    assert measures.size(bytes_) == podman


def test_an_unknown_size_is_not_zero() -> None:
    assert measures.size(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "podman"),
    [
        (12, "12 seconds"),
        (71, "About a minute"),
        (131, "2 minutes"),
        (3611, "About an hour"),
        (5411, "2 hours"),
        (86412, "24 hours"),
        (169212, "47 hours"),
        (170976, "47 hours"),
        (171012, "2 days"),
        (1123212, "13 days"),
        (1206012, "13 days"),
        (1207812, "2 weeks"),
        (5097612, "8 weeks"),
        (5184012, "2 months"),
        (31536012, "12 months"),
        (62985612, "24 months"),
        (63072012, "2 years"),
        (94521612, "2 years"),
        (94608012, "3 years"),
        (12614400012, "292 years"),
    ],
)
def test_ages_have_podmans_words(seconds: int, podman: str) -> None:
    assert measures.duration(seconds) == podman


@pytest.mark.parametrize(
    ("seconds", "word"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1.9, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (HOUR - 1, "59 minutes"),
        (HOUR, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (47.5 * HOUR, "2 days"),
        (14 * DAY - HOUR / 2, "2 weeks"),
    ],
)
def test_ages_change_at_go_units_limits(seconds: float, word: str) -> None:
    assert measures.duration(seconds) == word


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-24T08:02:28.078025249Z", 1795507348),
        ("2026-11-24T09:02:28.9+01:00", 1795507348),
        ("0001-01-01T00:00:00Z", measures.GO_ZERO),
        ("1969-12-31T23:59:59.5Z", -1),
    ],
)
def test_times_are_read_to_the_whole_second(time: str, seconds: int) -> None:
    assert measures.unix(time) == seconds


@pytest.mark.parametrize("seconds", [0, 1795507348, measures.GO_ZERO])
def test_utc_is_the_way_back(seconds: int) -> None:
    assert measures.unix(measures.utc(seconds)) == seconds
    assert measures.utc(1795507348) == "2026-11-24T08:02:28Z"


def test_a_time_that_is_none_has_no_age() -> None:
    assert measures.age("yesterday", 0) == "-"
