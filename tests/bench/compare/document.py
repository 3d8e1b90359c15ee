"""docs/benchmarks.md and its plots, written from the figures of one run."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from storaged_client.contract.version import VERSION

from . import commands, containerd, flat, listing, plots
from .figures import LIMITS, OURS, SERVICE, STORAGED, Figure, Figures
from .required import Verdict, reason
from .sections import PLOTS, SECTIONS

_HEAD = """# Benchmarks: storaged compared with the alternatives

Written by `{command}` on {when}: one run, {seconds:.0f} s, seed {seed}.
{machine}.

Every figure is *median / p99 (number of requests)* in milliseconds, warm unless the case says cold. Each program first
gets a few requests that do not count. Then all programs take turns, so that other work on the machine affects all of
them alike. The p99 of less than a hundred requests is the slowest one.

*N x* means that the program takes N times as long as storaged, by the medians. Beside a limit, *ours N x* means that
storaged takes N times as long as the limit. The time over a socket runs from the first byte sent to the last byte
received. storaged answers a repeated request on the same state of the store with the stored bytes of the first answer,
after it has checked the store's files. *made anew* are answers that it builds again, from rows that are already JSON.

Before the timing starts, the answers are compared with each other: {claims}. Stores are generated;
`python -m tests.bench.real_shapes` has podman build small stores of the same shapes and compares the two.
{size}
| program | version |
|---|---|
{versions}

"""


def write(
    folder: Path, figures: Figures, judged: Sequence[Verdict], about: Mapping[str, str], *, seconds: float, seed: int
) -> Path:
    """Write ``benchmarks.md`` and ``benchmarks/*.svg`` below ``folder``; returns the page.

    ``about``: the command, what the claims came to, versions and missing programs as rows of a table, and a remark
    on the size.
    """
    pictures = folder / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    for left in pictures.glob("*.svg"):
        left.unlink()
    drawn = dict(_plots(figures))
    for name, text in drawn.items():
        (pictures / f"{name}.svg").write_text(text)
    now = datetime.now(UTC)
    head = _HEAD.format(
        command=about["command"],
        when=f"{now:%d} {now:%B} {now.year}",
        seconds=seconds,
        seed=seed,
        machine=f"CPython {platform.python_version()}, Linux {platform.release().partition('-')[0]}, "
        f"{os.cpu_count()} cores ({_processor()}), storaged {VERSION} on trio",
        claims=about["claims"],
        size=about["size"],
        versions=about["versions"],
    )
    parts = [head, _asked(judged, figures, folder), *_sections(figures, drawn)]
    page = folder / "benchmarks.md"
    page.write_text("".join(parts).rstrip("\n") + "\n")
    return page


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _asked(judged: Sequence[Verdict], figures: Figures, folder: Path) -> str:
    rows = [
        "## Goals and results\n\n"
        "| at 800 images, unless stated otherwise | goal | worst | best | | worst, made anew |\n"
        "|---|---|---|---|---|---|\n"
    ]
    for verdict in judged:
        asked = verdict.requirement
        if verdict.worst is None or verdict.best is None:
            rows.append(f"| {asked.text} | {asked.kind} {asked.bound:g} | | | not measured | |\n")
            continue
        reached = "reached" if verdict.reached else "**missed**"
        worst, best = plots.said(verdict.worst), plots.said(verdict.best)
        anew = plots.said(verdict.anew) if verdict.anew is not None else ""
        rows.append(f"| {asked.text} | {asked.kind} {asked.bound:g} | {worst} | {best} | {reached} | {anew} |\n")
    rows += [
        f"\n*{verdict.requirement.text}*: missed. {reason(verdict, figures)}{verdict.requirement.design}\n"
        for verdict in judged
        if verdict.reached is False
    ]
    elsewhere = ["[prune beside podman](results.md)"] if (folder / "results.md").exists() else []
    if (folder / "scaling.md").exists():
        elsewhere.append("[many clients, stalls, reloads, start and memory](scaling.md)")
    if elsewhere:
        rows.append(f"\nMeasured elsewhere: {', '.join(elsewhere)}.\n")
    return "".join(rows) + "\n"


def _sections(figures: Figures, drawn: Mapping[str, str]) -> Iterator[str]:
    measured = set(figures.cases())
    for heading, text, cases in SECTIONS:
        shown = [case for case in cases if case in measured]
        if not shown:
            continue
        yield f"## {heading}\n\n{text}\n\n" if text else f"## {heading}\n\n"
        for name in PLOTS.get(heading, ()):
            if name in drawn:
                yield f"![{heading}: {name}](benchmarks/{name}.svg)\n\n"
        for case in shown:
            yield f"### {case}\n\n{table(figures, case)}\n"
            yield "".join(
                f"{key.removeprefix(case).lstrip(':, ')}: {value}\n\n"
                for key, value in figures.facts.items()
                if key == f"{case}: filter" or key.startswith(f"{case}: lists")
            )


def table(figures: Figures, case: str) -> str:
    """The figures of a case: a row for each store, a column for each program, ours first."""
    found = list(figures.of(case))
    columns = list(dict.fromkeys(figure.who for figure in found))
    columns.sort(key=lambda who: who not in OURS)
    lines = [f"| store | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for shape, size in dict.fromkeys(figure.place for figure in found):
        row = {figure.who: figure for figure in found if figure.place == (shape, size)}
        own = next((row[who] for who in OURS if who in row), None)
        cells = " | ".join(_cell(row.get(who), own) for who in columns)
        lines.append(f"| {shape} {size}{_told(figures, case, shape, size)} | {cells} |")
    return "\n".join(lines) + "\n"


def _told(figures: Figures, case: str, shape: str, size: int) -> str:
    facts = figures.facts
    rows, length = (facts.get(f"{case}, {shape} {size}: {what}") for what in ("rows", "bytes"))
    if rows and length:
        return f"<br>{rows} rows, {int(length) / 1000:,.0f} kB"
    layers = facts.get(f"flat, {size} images: layers") if case in flat.CASES else None
    return f"<br>{int(layers):,} layers" if layers else ""


def _cell(figure: Figure | None, own: Figure | None) -> str:
    if figure is None:
        return ""
    timing = figure.timing
    text = f"{_number(timing.median)} / {_number(timing.p99)} ({timing.count})"
    if own is None or own is figure:
        return text
    if figure.who in LIMITS:
        return f"{text}<br>ours {plots.said(own.timing.median / timing.median)} x"
    return f"{text}<br>{plots.said(timing.median / own.timing.median)} x"


def _number(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"


def _plots(figures: Figures) -> Iterator[tuple[str, str]]:
    for name, case in (("listing", listing.ALL), ("dangling", listing.DANGLING)):
        panels = [_panel(figures, case, shape) for shape in listing.FORMS]
        if panels := [panel for panel in panels if panel.lines]:
            yield name, plots.lines(f"{case}: median, ms", panels, x="images")
    for name, case in (("commands", commands.IMAGES), ("containerd", containerd.LIST)):
        panel = _panel(figures, case, "realistic")
        if panel.lines:
            yield name, plots.lines(f"{case}: median, ms", [panel], x="images")
    ratios = {}
    for case in figures.cases():
        places = [
            figure.place for figure in figures.of(case) if figure.who == SERVICE and figure.place[0] == "realistic"
        ]
        if places and (ratio := figures.ratio(case, places[-1], slow=SERVICE, fast=STORAGED)):
            ratios[case] = ratio
    if ratios:
        size = max(figure.size for figure in figures.all if figure.who == SERVICE)
        yield "ratios", plots.bars(f"times as fast as podman's service, {size} images", ratios, unit="x")


def _panel(figures: Figures, case: str, shape: str) -> plots.Panel:
    lines: dict[str, list[tuple[float, float]]] = {}
    for figure in figures.of(case):
        if figure.place[0] == shape:
            lines.setdefault(figure.who, []).append((figure.size, figure.timing.median * 1e3))
    return plots.Panel(title=shape, lines=lines)
