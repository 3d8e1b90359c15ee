"""``storagectl stats``: for people, and as OpenMetrics text that a parser of others reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from storaged.metrics import BOUNDS, Metrics
from storaged.service.statistics import statistics
from storaged_client.cli import exits, openmetrics, stats
from storaged_client.cli.main import main
from storaged_client.contract import wire
from storaged_client.contract.types import ServerStats
from storaged_client.contract.version import VERSION
from tests.support.server import Server

HOSTILE = 'a\\b"c\nstoraged_connections 99\n# EOF'
DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


def counted(**gauges: float) -> Any:
    """What a daemon answers that has done a few things."""
    metrics = Metrics()
    metrics.add("connections", 3)
    for seconds in (0.0004, 0.0005, 0.02, 99.0):
        metrics.spend("requests.images.list", seconds)
    metrics.add("requests.images.list.errors", 2)
    metrics.spend("requests.unknown", 0.0001)
    metrics.add("requests.unknown.errors")
    metrics.spend("gateway.GET /images/json", 0.003)
    metrics.spend("gateway.passed_on", 0.2)
    metrics.add("gateway.passed_on.errors")
    metrics.add("errors.StoreBusy", 2)
    metrics.add("errors.MethodNotFound")
    metrics.add("limits.in_flight", 5)
    metrics.add("limits.batch", 0)
    metrics.spend("locks.held.images.lock", 0.002)
    metrics.spend("locks.waited.layers.lock", 0.3)
    metrics.spend("reload", 0.25)
    metrics.spend("reload", 0.75)
    metrics.add("loads.lost_races")
    base = {"connections": 1.0, "requests_in_flight": 1.0, "reply_bytes_waiting": 0.0, "resident_bytes": 45e6}
    base |= {
        "peak_resident_bytes": 50e6,
        "cpu_seconds": 1.5,
        "descriptors": 12.0,
        "cursors": 0.0,
        "leases": 0.0,
        "uptime_seconds": 7200.5,
    }
    base |= {"images": 12.0, "layers": 30.0, "containers": 1.0, "layer_sizes_pending": 0.0, "layer_sizes_unknown": 0.0}
    return json.loads(msgspec.json.encode(statistics(metrics, {**base, **gauges})))


def families(text: str) -> dict[str, Any]:
    return {family.name: family for family in read_openmetrics(text)}


def value(family: Any, name: str, **labels: str) -> float:
    (found,) = [sample.value for sample in family.samples if (sample.name, sample.labels) == (name, labels)]
    return float(found)


def test_the_text_is_openmetrics_with_types_units_and_values() -> None:
    found = families(openmetrics.text(counted()))
    assert {family.type for family in found.values()} == {"gauge", "counter", "histogram"}
    assert all(family.documentation for family in found.values())
    assert all(name.startswith("storaged_") for name in found)
    assert {name: family.unit for name, family in found.items() if family.unit} == {
        "storaged_reply_waiting_bytes": "bytes",
        "storaged_resident_memory_bytes": "bytes",
        "storaged_peak_resident_memory_bytes": "bytes",
        "storaged_cpu_seconds": "seconds",
        "storaged_uptime_seconds": "seconds",
        "storaged_request_duration_seconds": "seconds",
        "storaged_rest_duration_seconds": "seconds",
        "storaged_reload_duration_seconds": "seconds",
        "storaged_change_wait_seconds": "seconds",
        "storaged_lock_wait_seconds": "seconds",
        "storaged_lock_hold_seconds": "seconds",
    }
    assert value(found["storaged_uptime_seconds"], "storaged_uptime_seconds") == 7200.5
    assert value(found["storaged_connections_accepted"], "storaged_connections_accepted_total") == 3
    failed = found["storaged_request_errors"]
    assert value(failed, "storaged_request_errors_total", method="images.list") == 2
    assert value(found["storaged_errors"], "storaged_errors_total", error="StoreBusy") == 2
    assert value(found["storaged_limits_reached"], "storaged_limits_reached_total", limit="in_flight") == 5
    assert value(found["storaged_limits_reached"], "storaged_limits_reached_total", limit="batch") == 0
    events = found["storaged_events"]
    assert [sample.labels for sample in events.samples] == [{"event": "loads.lost_races"}]


def test_buckets_are_cumulative_and_end_with_all() -> None:
    family = families(openmetrics.text(counted()))["storaged_request_duration_seconds"]
    mine = {"method": "images.list"}
    buckets = [
        (sample.labels["le"], sample.value)
        for sample in family.samples
        if sample.name.endswith("_bucket") and sample.labels["method"] == "images.list"
    ]
    assert [float(bound) for bound, _ in buckets] == [*BOUNDS, float("inf")]
    counts = dict(buckets)
    assert (counts["0.00025"], counts["0.0005"], counts["0.025"], counts["30.0"], counts["+Inf"]) == (0, 2, 3, 3, 4)
    assert value(family, "storaged_request_duration_seconds_count", **mine) == 4
    assert value(family, "storaged_request_duration_seconds_sum", **mine) == pytest.approx(99.0209)
    empty = families(openmetrics.text(counted()))["storaged_lock_wait_seconds"]
    assert value(empty, "storaged_lock_wait_seconds_count", lock="images.lock") == 0
    assert value(empty, "storaged_lock_wait_seconds_bucket", lock="layers.lock", le="+Inf") == 1


def test_the_parser_of_the_older_format_reads_the_same() -> None:
    text = openmetrics.text(counted())
    older = {
        (one.name, *sorted(one.labels.items())): one.value for each in read_prometheus(text) for one in each.samples
    }
    newer = {
        (one.name, *sorted(one.labels.items())): one.value for each in read_openmetrics(text) for one in each.samples
    }
    assert older == newer
    assert len(newer) > 100


def test_a_label_cannot_end_its_line() -> None:
    answer = counted()
    answer["errors"] = {HOSTILE: 1}
    answer["version"] = HOSTILE
    found = families(openmetrics.text(answer))
    assert value(found["storaged_errors"], "storaged_errors_total", error=HOSTILE) == 1
    assert value(found["storaged_build_info"], "storaged_build_info", version=HOSTILE) == 1


def test_a_daemon_that_could_not_read_its_store_has_no_numbers_of_it() -> None:
    answer = counted()
    for name in ("images", "layers", "containers"):
        del answer["gauges"][name]
    assert "storaged_images" not in families(openmetrics.text(answer))
    assert "\nholds          the store could not be read yet\n" in stats.render(answer)


def test_the_document_names_every_family_with_its_type_and_labels() -> None:
    told = {}
    for names, kind, labels in re.findall(r"^\| (`storaged_[^|]*) \| (\w+) \| ([^|]*) ?\|", DOCUMENT.read_text(), re.M):
        for name in re.findall(r"`(\w+)`", names):
            told[name.removesuffix("_total") if kind == "counter" else name] = (
                kind,
                set(re.findall(r"`(\w+)`", labels)),
            )
    found = {
        name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
        for name, family in families(openmetrics.text(counted())).items()
    }
    assert told == found


def test_what_the_daemon_answers_is_what_the_contract_says() -> None:
    assert isinstance(wire.structure_result(ServerStats, {**counted(), "generation": "g", "stale": None}), ServerStats)


def test_people_are_told_what_it_does_and_what_that_costs() -> None:
    assert stats.render(counted()) == (
        f"""\
daemon         storaged {VERSION}, up 2 hours
memory         45 MB now, 50 MB at most; 12 descriptors; 1.5 s of processor time
clients        1 connected, 3 since the start
at work        1 in flight, including this one, 0 B of unread replies
holds          12 images, 30 layers, 1 containers
reloads        2, 500 ms each, 99% within 1 s
changes        waited for each other: none

METHOD       REQUESTS    ERRORS      MEAN        HALF WITHIN  99% WITHIN
images.list  4           2           24.8 s      500 µs       over 30 s
unknown      1           1           100 µs      100 µs       100 µs

LOCK         HELD        MEAN        HALF WITHIN  99% WITHIN  WAITED      MEAN        HALF WITHIN  99% WITHIN
images.lock  1           2 ms        2.5 ms       2.5 ms      0           -           -            -
layers.lock  0           -           -            -           1           300 ms      500 ms       500 ms

LIMIT REACHED  TIMES
in_flight      5

ERROR           ANSWERS
MethodNotFound  1
StoreBusy       2
"""
    )


@pytest.fixture
def daemon(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    answers = {"server.stats": lambda _: {**counted(), "generation": "g", "stale": None}}
    with Server(short_dir / "s", answers) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        yield server


@pytest.mark.parametrize("form", ["prometheus", "json", "table"])
def test_each_form_is_one_request(daemon: Server, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--format", form]) == exits.DONE
    out, err = capsys.readouterr()
    assert err == ""
    assert {"prometheus": out.endswith("\n# EOF\n"), "json": out.startswith("{"), "table": "METHOD" in out}[form]
    assert [method for method, _ in daemon.requests] == ["server.stats"]


def test_another_form_is_refused_before_anybody_is_asked(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--format", "xml"]) == exits.FAILED
    assert "xml" in capsys.readouterr().err
    assert daemon.requests == []
