"""The service on a real store."""

from __future__ import annotations

import pytest

from tests.support.ground import Ground
from tests.support.service import Desk, desk_of


@pytest.fixture
def desk(ground: Ground) -> Desk:
    return desk_of(ground)
