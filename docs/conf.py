"""Sphinx configuration for the HTML pages and the man pages, which have the same sources.

::

    python -m sphinx -W -b html docs build/docs/html
    python -m sphinx -E -W -b man -d build/docs/trees docs docs/man

Needs no network, and only the extra ``docs``. The man pages in ``docs/man`` are committed: a wheel contains them, and
building one must not need Sphinx.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from storaged_client.contract.version import VERSION

project = "storaged"
author = "The storaged developers"
project_copyright = author
version = release = VERSION
today = re.findall(r"^## .*(\d{4}-\d\d-\d\d)$", (Path(__file__).parents[1] / "CHANGELOG.md").read_text(), re.M)[0]

extensions = ["myst_parser", "from_code"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
smartquotes = False  # "--" begins a flag and is not a dash

html_theme = "alabaster"
html_theme_options = {"description": "The image store that podman shares, resident", "page_width": "70em"}
html_copy_source = False

man_pages = [
    ("storaged.8", "storaged", "the image store, resident", author, "8"),
    ("storagectl.1", "storagectl", "ask about, and change, the image store of podman, buildah and skopeo", author, "1"),
    ("storaged.toml.5", "storaged.toml", "the daemon's own settings", author, "5"),
    ("protocol", "storaged-protocol", "how programs talk to storaged", author, "7"),
]
