"""``store.*``: structure, call, encode."""

from __future__ import annotations

from storaged.service.context import Engine
from storaged.service.encoding import encode_view
from storaged_client.contract import types as t
from storaged_client.contract.params import Common


async def refresh(engine: Engine, common: Common) -> bytes:
    """``store.refresh``: a reload whatever the stamp says."""
    return encode_view(t.Empty(), await engine.cache.refresh(common.timeout))
