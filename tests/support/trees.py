"""Folders that a store has without leave to write, as podman makes them, and users who are not root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def remove_tree(path: str | Path) -> None:
    """Remove a tree, whatever its folders permit their owner."""
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)
    shutil.rmtree(path)
