"""Checks the configuration of an image made only of it, as strictly as Go reads it.

A configuration that podman cannot decode would break its listings of the whole store. So each member must have its type
and occur once, and none may be spelled so that Go takes it for another. podman reads each configuration twice, as OCI's
and as Docker's.

Source: image-spec ``specs-go/v1/config.go``, image ``manifest/oci.go`` (Inspect), ``manifest/docker_schema2.go``
(Schema2V1Image), Go ``encoding/json``.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec
import msgspec.structs

from storaged.store.layout.decoding import bounded
from storaged.store.layout.manifests import parse_config
from storaged_client.contract.errors import InvalidParams
from storaged_client.times import instant, rfc3339

_PATH = re.compile(r" - at `\$(.*)`$")

_Object = dict[str, Any]


_Number = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Texts = list[str | None]


class _HealthCheck(msgspec.Struct, rename="pascal"):
    test: _Texts | None = None
    start_period: _Number | None = None
    start_interval: _Number | None = None
    interval: _Number | None = None
    timeout: _Number | None = None
    retries: _Number | None = None


class _Settings(msgspec.Struct, rename="pascal"):
    user: str | None = None
    exposed_ports: dict[str, _Object | None] | None = None
    env: _Texts | None = None
    entrypoint: _Texts | None = None
    cmd: _Texts | None = None
    volumes: dict[str, _Object | None] | None = None
    working_dir: str | None = None
    labels: dict[str, str | None] | None = None
    stop_signal: str | None = None
    args_escaped: bool | None = None
    # Docker's:
    hostname: str | None = None
    domainname: str | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    tty: bool | None = None
    open_stdin: bool | None = None
    stdin_once: bool | None = None
    healthcheck: _HealthCheck | None = None
    image: str | None = None
    network_disabled: bool | None = None
    mac_address: str | None = None
    on_build: _Texts | None = None
    stop_timeout: _Number | None = None
    shell: _Texts | None = None


class _RootFS(msgspec.Struct):
    type: str
    diff_ids: list[str] | None = None


class _History(msgspec.Struct):
    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class NewConfig(msgspec.Struct):
    architecture: str
    os: str
    rootfs: _RootFS
    created: str | None = None
    author: str | None = None
    variant: str | None = None
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: _Texts | None = msgspec.field(default=None, name="os.features")
    config: _Settings | None = None
    history: list[_History | None] | None = None
    # Docker's:
    id: str | None = None
    parent: str | None = None
    comment: str | None = None
    container: str | None = None
    container_config: _Settings | None = None
    docker_version: str | None = None
    size: _Number | None = msgspec.field(default=None, name="Size")


_KNOWN: dict[type[msgspec.Struct], dict[str, str]] = {
    kind: {member.encode_name.casefold(): member.encode_name for member in msgspec.structs.fields(kind)}
    for kind in (NewConfig, _Settings, _HealthCheck, _RootFS, _History)
}

_decode = bounded(msgspec.json.Decoder(NewConfig).decode)


def config_bytes(config: Any) -> bytes:
    """The configuration's bytes: those of the given text, or the given object, compact, in the order of its members.

    Raises:
        InvalidParams: it is neither.
    """
    if isinstance(config, str):
        return config.encode("utf-8", "surrogatepass")
    if isinstance(config, dict):
        try:
            return msgspec.json.encode(config)
        except (msgspec.MsgspecError, UnicodeError, OverflowError) as error:
            raise InvalidParams(f"no image configuration: {error}", path="$.config") from None
    raise InvalidParams("a configuration is an object, or the text of one", path="$.config")


def checked(data: bytes) -> NewConfig:
    """Raises: InvalidParams: it is not a configuration of an image without layers; the path says where."""
    try:
        config = _decode(data)
        parse_config(data)
        members = json.loads(data, object_pairs_hook=_once)
    except ValueError as error:
        found = _PATH.search(str(error))
        text = str(error)[: found.start()] if found is not None else str(error)
        raise InvalidParams(
            f"no image configuration: {text}", path="$.config" + (found[1] if found is not None else "")
        ) from None
    _refuse_other_cases(members)
    for name in ("architecture", "os"):
        if not getattr(config, name):
            raise InvalidParams(f"an image says its {name}", path=f"$.config.{name}")
    if config.rootfs.type != "layers":
        raise InvalidParams('the type of a root file system is "layers"', path="$.config.rootfs.type")
    if config.rootfs.diff_ids:
        raise InvalidParams(
            "an image made only of its configuration has no layers: use images.import or a build for one with files",
            path="$.config.rootfs.diff_ids",
        )
    _check_time(config.created, "$.config.created")
    for at, entry in enumerate(config.history or ()):
        if entry is None or not entry.empty_layer:
            raise InvalidParams(
                "without layers every entry of the history has empty_layer", path=f"$.config.history[{at}].empty_layer"
            )
        _check_time(entry.created, f"$.config.history[{at}].created")
    return config


def _once(pairs: list[tuple[str, Any]]) -> _Object:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise InvalidParams("a member occurs twice in one object: other tools would merge the two", path="$.config")
    return members


def _refuse_other_cases(config: _Object) -> None:
    """Go matches members in any case, and fails if the type is wrong."""
    history = enumerate(config.get("history") or ())
    places: list[tuple[str, _Object | None, type[msgspec.Struct]]] = [
        ("$.config", config, NewConfig),
        ("$.config.config", config.get("config"), _Settings),
        ("$.config.config.Healthcheck", (config.get("config") or {}).get("Healthcheck"), _HealthCheck),
        ("$.config.container_config", config.get("container_config"), _Settings),
        (
            "$.config.container_config.Healthcheck",
            (config.get("container_config") or {}).get("Healthcheck"),
            _HealthCheck,
        ),
        ("$.config.rootfs", config.get("rootfs"), _RootFS),
        *((f"$.config.history[{at}]", entry, _History) for at, entry in history),
    ]
    for path, members, kind in places:
        for name in members or ():
            meant = _KNOWN[kind].get(name.casefold(), name)
            if meant != name:
                raise InvalidParams(f"it has a member {name!r}, which other tools take for {meant!r}", path=path)


def _check_time(text: str | None, path: str) -> None:
    """Check a time as Go reads it: RFC 3339 with a point before the fraction, of the years 1 to 9999."""
    if text is None:
        return
    try:
        rfc3339(*instant(text))
    except (ValueError, OverflowError) as error:
        raise InvalidParams(f"{text[:64]!r} is not a time: {error}", path=path) from None
    if "," in text:
        raise InvalidParams(f"{text[:64]!r} has a comma where RFC 3339 has a point", path=path)


def created(config: NewConfig) -> str | None:
    """The time in the configuration, in UTC, as Go writes it."""
    return None if config.created is None else rfc3339(*instant(config.created))
