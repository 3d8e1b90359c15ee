"""The parts of the comparison that can be wrong without a clock: counting, parsing, ratios, tables, plots."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.compare import containerd, document, plots, required, rest
from tests.bench.compare.commands import json_ids, printed_ids
from tests.bench.compare.echo import Kind, echo
from tests.bench.compare.figures import ANEW, ECHO, PING, SERVICE, STORAGED, Figures
from tests.bench.compare.flat import CASES
from tests.bench.compare.listing import ALL, DANGLING, podmans
from tests.bench.compare.timing import Contender, Effort, Timing, by_turns
from tests.support.report import Report

SIZES = {100: 100, 200: 200, 400: 400, 800: 800}


def timing(milliseconds: float) -> Timing:
    return Timing(median=milliseconds / 1e3, p99=milliseconds / 1e3, count=7)


def figures(**medians: dict[tuple[str, str, int], float]) -> Figures:
    """Milliseconds by program, and by case, shape and size."""
    found = Figures()
    for who, places in medians.items():
        for (case, shape, size), value in places.items():
            found.add(Report(timed=False), case, (shape, size), {_PROGRAMS[who]: timing(value)})
    return found


_PROGRAMS = {"ours": STORAGED, "anew": ANEW, "theirs": SERVICE, "echo": ECHO, "ping": PING}


# ---------------------------------------------------------------- turns


def test_median_and_p99_are_times_that_were_taken() -> None:
    told = Timing.of([float(n) for n in range(1, 201)])
    assert (told.median, told.p99, told.count) == (100.0, 198.0, 200)


def test_no_time_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no time"):
        Timing.of([])


def test_warm_up_and_settling_requests_do_not_count() -> None:
    asked: list[str] = []

    def counter(who: str) -> Callable[[], float]:
        def ask() -> float:
            asked.append(who)
            return float(asked.count(who))

        return ask

    contenders = [
        Contender(who="a", ask=counter("a"), burst=2, warm=3),
        Contender(who="b", ask=counter("b"), warm=1, settle=1),
    ]
    taken = by_turns(contenders, Effort(seconds=1e9, least=2, most=2))
    # a: 1, 2, 3 warm, then 4 to 7; b: 1 warm, then 2 and 4 to settle, 3 and 5 counted.
    assert (taken["a"].count, taken["a"].median, taken["a"].p99) == (4, 5.0, 7.0)
    assert (taken["b"].count, taken["b"].median, taken["b"].p99) == (2, 3.0, 5.0)


def test_each_turn_begins_with_another_program() -> None:
    asked: list[str] = []

    def ask_of(who: str) -> Callable[[], float]:
        return lambda: asked.append(who) or 0.0

    by_turns([Contender(who=who, ask=ask_of(who), warm=0) for who in "abc"], Effort(seconds=0, least=3))
    assert "".join(asked) == "abcbcacab"


# ---------------------------------------------------------------- answers of peers

CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{"a"\r\n8;x=y\r\n: "\r\n"}]\r\n0\r\n\r\n'
COUNTED = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BARE = b"HTTP/1.1 204 No Content\r\nServer: Libpod/5.8.6 (linux)\r\n\r\n"


@pytest.mark.parametrize("answer", [CHUNKED, COUNTED, BARE], ids=["chunked", "counted", "no body"])
def test_an_answer_is_complete_with_its_last_byte_and_not_before(answer: bytes) -> None:
    assert [end for end in range(len(answer) + 1) if rest.complete(answer[:end])] == [len(answer)]


def test_status_and_body_are_what_was_sent() -> None:
    assert rest.parsed(CHUNKED) == (200, b'[{"a": "\r\n"}]')
    assert rest.parsed(COUNTED) == (404, b"{}")
    assert rest.parsed(BARE) == (204, b"")


def test_a_name_is_one_part_of_a_path() -> None:
    assert rest.named("localhost:5000/team/app:1") == "localhost%3A5000%2Fteam%2Fapp%3A1"


def test_our_filters_become_podmans_query() -> None:
    query = podmans({"all": True, "filters": ["label=a=b", "label=c", "dangling=true"]})
    assert query["all"] == "true"
    assert json.loads(query["filters"]) == {"label": ["a=b", "c"], "dangling": ["true"]}
    assert podmans({}) == {}


def test_ids_are_read_from_what_commands_print() -> None:
    assert printed_ids("sha256:aa\nbb\n\naa\n") == {"aa", "bb"}
    assert json_ids('[{"id":"aa","names":["x"]},{"id":"bb"}]') == {"aa", "bb"}


def test_numbers_of_protocol_buffers_are_seven_bits_a_byte() -> None:
    assert [containerd.varint(number) for number in (0, 127, 128, 300)] == [b"\0", b"\x7f", b"\x80\x01", b"\xac\x02"]


def test_an_image_for_containerd_has_its_name_labels_and_descriptor() -> None:
    made = containerd.image("localhost/a:1", "sha256:00", {"k": "v", "": "no key", "long": "x" * 5_000})
    assert list(containerd.fields(made[: made.index(b"\x1a")])) == [(1, b"localhost/a:1"), (2, b"\n\x01k\x12\x01v")]
    assert made.endswith(b"\x12\x09sha256:00\x18\xf4\x03")


def test_the_fields_of_a_long_message_are_found_again() -> None:
    long = b"x" * 300
    assert list(containerd.fields(containerd.message(1, long) + containerd.message(15, b""))) == [(1, long), (15, b"")]
    with pytest.raises(ValueError, match="not of bytes"):
        list(containerd.fields(b"\x08\x01"))


@pytest.mark.parametrize("kind", ["plain", "trio", "asyncio"])
def test_an_echo_answers_each_line_with_the_same_bytes(kind: Kind) -> None:
    data = b"x" * 3_000_000 + b"\n"
    with echo(data, kind) as client:
        assert [client.raw("anything") + b"\n" == data for _ in range(3)] == [True] * 3
        assert client.received == len(data)


# ---------------------------------------------------------------- what is asked


def test_a_requirement_is_judged_by_its_worst_place() -> None:
    places = {(ALL, "distinct", 800): 1.0, (ALL, "shared", 800): 1.0, (DANGLING, "shared", 800): 1.0}
    slow = {(ALL, "distinct", 800): 900.0, (ALL, "shared", 800): 499.0, (DANGLING, "shared", 800): 1000.0}
    verdict = required.verdicts(figures(ours=places, theirs=slow), SIZES)[0]
    assert (verdict.worst, verdict.best, verdict.reached) == (pytest.approx(499), pytest.approx(1000), False)
    assert (verdict.case, verdict.place) == (ALL, ("shared", 800))


def test_an_upper_bound_is_judged_by_the_largest_value() -> None:
    ours = {(ALL, "distinct", 800): 0.9, (ALL, "shared", 800): 0.4}
    bare = {(ALL, "distinct", 800): 0.5, (ALL, "shared", 800): 0.1}
    judged = {each.requirement.text: each for each in required.verdicts(figures(ours=ours, echo=bare), SIZES)}
    absolute = judged["`images.list` of 800 images, in ms"]
    assert (absolute.worst, absolute.reached) == (pytest.approx(0.9), True)
    echoed = judged["`images.list` compared with an echo of the same bytes"]
    assert (echoed.worst, echoed.best, echoed.reached) == (pytest.approx(4), pytest.approx(1.8), False)


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    judged = required.verdicts(figures(ours={(ALL, "shared", 400): 1.0}, theirs={(ALL, "shared", 400): 1.0}), SIZES)
    assert {each.reached for each in judged} == {None}


def test_flat_compares_the_largest_store_with_the_smallest() -> None:
    case = next(iter(CASES))
    places = [(case, "realistic", 100), (case, "realistic", 3_929)]
    measured = figures(ours=dict.fromkeys(places, 0.1), anew=dict(zip(places, (0.2, 0.5), strict=True)))
    verdict = required.verdicts(measured, SIZES)[-1]
    assert (verdict.worst, verdict.reached) == (pytest.approx(2.5), False)
    assert "0.2 ms at 100 images" in required.reason(verdict, measured)


def test_what_is_made_anew_is_told_beside_what_is_kept() -> None:
    place = (ALL, "realistic", 800)
    measured = figures(ours={place: 0.5}, anew={place: 2.0}, theirs={place: 1000.0}, echo={place: 0.5})
    told = {verdict.requirement.text: verdict for verdict in required.verdicts(measured, SIZES)}
    listing = next(verdict for text, verdict in told.items() if "over the socket, compared with podman's" in text)
    assert (listing.worst, listing.anew, listing.reached) == (pytest.approx(2000), pytest.approx(500), True)
    absolute = next(verdict for text, verdict in told.items() if "in ms" in text)
    assert (absolute.worst, absolute.anew) == (pytest.approx(0.5), pytest.approx(2.0))
    assert all(verdict.anew is None for text, verdict in told.items() if "storagectl" in text)


def test_the_reason_of_a_miss_is_what_was_measured_there() -> None:
    place = (ALL, "shared", 800)
    measured = figures(ours={place: 2.0}, theirs={place: 100.0}, ping={("p", "realistic", 800): 0.25})
    text = required.reason(required.verdicts(measured, SIZES)[0], measured)
    assert "storaged 2 ms, podman's service 100 ms, server.ping 0.25 ms" in text
    assert "as fast as server.ping would be 400 times" in text


# ---------------------------------------------------------------- the page


def test_a_table_has_our_time_first_and_ratios_to_it() -> None:
    place = (ALL, "shared", 800)
    text = document.table(figures(theirs={place: 100.0}, ours={place: 2.0}, echo={place: 0.5}), ALL)
    head, _, row = text.splitlines()
    assert head == "| store | storaged | podman's service | bare echo |"
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["shared 800", "2 / 2 (7)", "100 / 100 (7)<br>50 x", "0.5 / 0.5 (7)<br>ours 4 x"]


def test_a_program_that_was_not_asked_somewhere_has_an_empty_cell() -> None:
    text = document.table(
        figures(ours={(ALL, "shared", 100): 2.0, (ALL, "shared", 800): 3.0}, theirs={(ALL, "shared", 800): 6.0}), ALL
    )
    assert [line.count("|") for line in text.splitlines()] == [4] * 4
    assert text.splitlines()[2].endswith("|  |")


def test_the_page_says_what_was_missed_and_links_only_to_what_is_there(tmp_path: Path) -> None:
    places = {(ALL, shape, size): size / 100 for shape in ("distinct", "shared") for size in SIZES}
    measured = figures(ours=places, theirs={place: 300 * value for place, value in places.items()})
    about = {"command": "c", "claims": "all", "versions": "| storaged | 1 |", "size": ""}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/old.svg").write_text("")
    page = document.write(tmp_path, measured, required.verdicts(measured, SIZES), about, seconds=1, seed=7)
    text = page.read_text()
    assert "| at least 500 | 300 | 300 | **missed** |" in text
    assert "not measured" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links == ["benchmarks/listing.svg"]
    assert [path.name for path in (tmp_path / "benchmarks").iterdir()] == ["listing.svg"]


def test_a_plot_is_xml_and_shows_larger_values_higher() -> None:
    panel = plots.Panel(title="a <b> & c", lines={"p<q": [(100, 1.0), (800, 10.0)], "r": [(100, 0.2)]})
    tree = xml.etree.ElementTree.fromstring(plots.lines("t & u", [panel], x="images"))
    spots = [
        (float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in tree.iter("{http://www.w3.org/2000/svg}circle")
    ]
    (left, low), (right, high), (_, lowest) = spots
    assert left < right
    assert high < low < lowest
    texts = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"t & u", "a <b> & c", "p<q", "r", "100", "800", "0.1 ms", "10 ms"} <= set(texts)


def test_a_bar_is_the_longer_the_larger_its_value() -> None:
    tree = xml.etree.ElementTree.fromstring(plots.bars("t", {"a": 2.0, "b": 1_500.0}, unit="x"))
    bars = [float(bar.attrib["width"]) for bar in tree.iter("{http://www.w3.org/2000/svg}rect") if "x" in bar.attrib]
    assert len(bars) == 2
    assert bars[0] < bars[1]
    assert "1,500 x" in [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_a_scale_encloses_its_values_and_has_no_room_for_zero() -> None:
    assert plots.decades([0.3, 45.0]) == (-1, 2)
    assert plots.decades([1.0]) == (0, 1)
    with pytest.raises(ValueError, match="no place"):
        plots.decades([0.0, 1.0])
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.lines("t", [], x="images")
