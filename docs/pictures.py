"""Draws the pictures of README: real output of ``storagectl`` with a real daemon, and a chart of measured figures, as
SVG.

::

    python docs/pictures.py            draw docs/pictures/*.svg again
    python docs/pictures.py --check    only report whether they still match the output

The store is a throwaway one, like that of ``storaged demo``; the figures are those of ``docs/benchmarks.md``. Needs the
extra ``docs`` (Rich draws the terminal).
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

import storaged_client
from storaged.sample import SampleSpec, write_store
from storaged_client.sync import Client

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.bench.compare import plots

FOLDER = Path(__file__).parent / "pictures"
_COLUMNS = 96
_LIST = "localhost/web:latest"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a picture is stale")
    check = parser.parse_args(argv).check
    stale = []
    for name, picture in _pictures().items():
        path = FOLDER / f"{name}.svg"
        if not path.exists() or _told(path.read_text()) != _told(picture):
            stale.append(path.name)
            if not check:
                path.write_text(picture)
    if stale:
        sys.stdout.write(f"{'stale, run python docs/pictures.py' if check else 'drawn'}: {', '.join(stale)}\n")
    return 1 if stale and check else 0


def _pictures() -> dict[str, str]:
    """Each picture by its name."""
    with _daemon() as (store, socket):
        image = _an_untagged_image_in_a_list(store)
        commands = {"why": ["why", image[:12]], "prune": ["image", "prune", "--dry-run"]}
        pictures = {name: _drawn(name, words, _printed(words, socket)) for name, words in commands.items()}
    pictures["listing"] = _chart()
    return pictures


def _chart() -> str:
    """Milliseconds to list a store of 800 images, from ``docs/benchmarks.md``."""
    socket = _measured("images.list, all")
    process = _measured("command, images")
    values = {
        "podman's REST service": socket["podman's service"],
        "storaged over its socket": socket["storaged"],
        "podman images": process["podman"],
        "storagectl images": process["storagectl"],
    }
    return plots.bars("List 800 images: median, ms (logarithmic)", values, unit="ms")


def _measured(title: str) -> dict[str, float]:
    """The medians of the store ``realistic 800`` in the table below a title."""
    page = (Path(__file__).parent / "benchmarks.md").read_text()
    table = page.partition(f"\n### {title}\n")[2].partition("\n#")[0].splitlines()
    (names,) = (line for line in table if line.startswith("| store |"))
    (figures,) = (line for line in table if line.startswith("| realistic 800"))
    cells = zip(names.split("|")[2:-1], figures.split("|")[2:-1], strict=True)
    return {name.strip(): float(figure.partition("/")[0].replace(",", "")) for name, figure in cells}


def _an_untagged_image_in_a_list(store: Client) -> str:
    """An image that podman's ``dangling`` filter takes for garbage: it has no name, but a list needs it."""
    config = {
        "created": "2026-11-24T12:00:00Z",
        "architecture": "arm64",
        "os": "linux",
        "config": {"Cmd": ["/usr/bin/web"]},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created": "2026-11-24T12:00:00Z", "created_by": "build", "empty_layer": True}],
    }
    (image,) = store.images.create(config).ids
    store.manifests.create(_LIST, [image])
    return image


@contextmanager
def _daemon() -> Iterator[tuple[Client, str]]:
    """A daemon on a store of a few images, and its socket."""
    with tempfile.TemporaryDirectory(prefix="storaged-pictures-") as name:
        root, run, socket = Path(name, "root"), Path(name, "run"), str(Path(name, "sock"))
        write_store(root, run, SampleSpec(images=13, seed=8, contents="files", containers=1))
        command = [sys.executable, "-m", "storaged", "serve", "--socket", socket, "--driver", "overlay"]
        with subprocess.Popen(
            [*command, "--root", str(root), "--runroot", str(run)], stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            try:
                if not any(line.startswith("ready:") for line in process.stderr):
                    raise SystemExit("the daemon did not start")
                with storaged_client.connect(socket) as store:
                    yield store, socket
            finally:
                process.terminate()
                process.communicate(timeout=20)


def _printed(words: Sequence[str], socket: str) -> str:
    """The output of ``storagectl WORDS`` on a terminal, as for a daemon at its usual socket."""
    done = subprocess.run(
        [sys.executable, "-m", "storaged_client.cli.main", "--color", "always", "--socket", socket, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": str(_COLUMNS)},
    )
    return done.stdout.replace(f" --socket {socket}", "")


def _drawn(name: str, words: Sequence[str], printed: str) -> str:
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ storagectl {' '.join(words)}", style="bold"))
    console.print(Text.from_ansi(printed), soft_wrap=False)
    return console.export_svg(title=f"storagectl {' '.join(words)}", unique_id=name)


def _told(picture: str) -> str:
    """The text of a picture, without what differs each time: ids of lists and of plans."""
    text = re.sub(r"--plan&#160;[\w-]+|textLength=\"[\d.]+\"", "", picture)
    return re.sub(r"[0-9a-f]{12}", "ID", text)


if __name__ == "__main__":
    sys.exit(main())
