"""Pseudo-terminals, which a machine or a sandbox may not have."""

from __future__ import annotations

import pty

import pytest


def open_terminal() -> tuple[int, int]:
    """Both ends of a new one; skips the test where there is no /dev/pts."""
    try:
        return pty.openpty()
    except OSError:
        pytest.skip("no /dev/pts on this machine")
