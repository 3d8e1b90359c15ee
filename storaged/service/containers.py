"""``containers.*``: structure, call, encode."""

from __future__ import annotations

from storaged.operations import container_list
from storaged.service.context import Call
from storaged_client.contract import params as p
from storaged_client.contract import types as t


def list_containers(call: Call, params: p.NoParams) -> t.ContainerList:
    """``containers.list``."""
    return container_list.list_containers(call.view.snapshot)
