"""The service itself: ``_ping``, ``version``, ``info``.

Without podman behind it the gateway reports what it knows by itself. Clients ask these first, and go by the releases,
the name ``Podman Engine``, the version of cgroups, memory and processors.

Source: podman ``compat/version.go``, ``compat/info.go``, ``libpod/define/info.go``, and the wire.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Any

from anyio.to_thread import run_sync

from storaged.gateway.answers import Answer, Streamed, json_answer
from storaged.gateway.context import Context
from storaged.gateway.host_facts import HostFacts, look
from storaged.gateway.identity import DOCKER_API_MINIMUM, PODMAN_MINIMUM
from storaged.gateway.request import Request
from storaged_client import times
from storaged_client.contract.version import VERSION


async def ping(context: Context, request: Request) -> Answer:
    """``_ping``: what clients negotiate by. Builder 1 keeps the docker CLI from using BuildKit, and so ``/session``."""
    await context.upstream.introduce()
    headers = (
        (b"Builder-Version", b"1"),
        (b"Buildkit-Version", b""),
        (b"Cache-Control", b"no-cache"),
        (b"Docker-Experimental", b"true"),
        (b"Libpod-Buildah-Version", context.identity.buildah.encode()),
        (b"Ostype", b"linux"),
        (b"Pragma", b"no-cache"),
        (b"Content-Type", b"text/plain; charset=utf-8"),
    )
    return Answer(headers=headers, body=(b"OK",))


async def version(context: Context, request: Request) -> Answer | Streamed | None:
    """``version``, the same for both trees."""
    podmans = await context.upstream.version()
    if podmans is not None:
        return json_answer(podmans)
    host = await run_sync(look)
    identity = context.identity
    engine = {
        "APIVersion": identity.podman,
        "Arch": host.architecture,
        "BuildTime": _ZERO,
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": host.kernel,
        "MinAPIVersion": PODMAN_MINIMUM,
        "Os": "linux",
    }
    components = [
        {"Name": "Podman Engine", "Version": identity.podman, "Details": engine},
        {"Name": "storaged", "Version": VERSION, "Details": {}},
    ]
    platform = f"linux/{host.architecture}/{host.distribution}-{host.distribution_version}"
    return json_answer(
        {
            "Platform": {"Name": platform},
            "Components": components,
            "Version": identity.podman,
            "ApiVersion": identity.api,
            "MinAPIVersion": DOCKER_API_MINIMUM,
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": host.architecture,
            "KernelVersion": host.kernel,
            "BuildTime": _ZERO,
        }
    )


async def info(context: Context, request: Request) -> Answer | Streamed | None:
    """``info`` of both trees."""
    podmans = await context.upstream.info(request)
    server = await context.store.call(request, "server.info", {})
    if podmans is not None:
        return json_answer(_counted(podmans, _images(server)))
    host = await run_sync(look)
    if request.libpod:
        search = context.store.engine.query_context.search_registries
        space = await context.store.in_thread(request, lambda: _space(server["graphroot"]))
        return json_answer(_libpod(context, server, host, search, space))
    return json_answer(_docker(context, server, host))


def _counted(podmans: Mapping[str, Any], images: int) -> dict[str, Any]:
    """podman's own answer, which may be some seconds old, with the current images."""
    if "store" not in podmans:
        return {**podmans, "Images": images}
    store = podmans["store"]
    return {**podmans, "store": {**store, "imageStore": {**(store.get("imageStore") or {}), "number": images}}}


_ZERO = "0001-01-01T00:00:00Z"


def _libpod(
    context: Context, server: Mapping[str, Any], host: HostFacts, search: tuple[str, ...], space: tuple[int, int]
) -> dict[str, Any]:
    identity = context.identity
    rootless = os.geteuid() != 0
    return {
        "host": {
            "arch": host.architecture,
            "buildahVersion": identity.buildah,
            "cgroupManager": "",
            "cgroupVersion": "v2" if host.unified_cgroups else "v1",
            "cgroupControllers": [],
            "conmon": {"package": "", "path": "", "version": ""},
            "cpus": host.processors,
            "cpuUtilization": {"userPercent": 0, "systemPercent": 0, "idlePercent": 0},
            "databaseBackend": "",
            "distribution": {
                "distribution": host.distribution,
                "version": host.distribution_version,
                **({"codename": host.codename} if host.codename else {}),
            },
            "eventLogger": "none",
            "hostname": host.hostname,
            "idMappings": {"gidmap": None, "uidmap": None},
            "kernel": host.kernel,
            "logDriver": "",
            "memFree": host.memory.get("MemFree", 0),
            "memTotal": host.memory.get("MemTotal", 0),
            "networkBackend": "",
            "networkBackendInfo": {"backend": "", "dns": {}},
            "ociRuntime": {"name": "", "package": "", "path": "", "version": ""},
            "os": "linux",
            "remoteSocket": {"path": f"unix://{(server['api_sockets'] or [''])[0]}", "exists": True},
            "rootlessNetworkCmd": "",
            "serviceIsRemote": False,
            "security": {
                "apparmorEnabled": False,
                "capabilities": "",
                "rootless": rootless,
                "seccompEnabled": False,
                "seccompProfilePath": "",
                "selinuxEnabled": False,
            },
            "slirp4netns": {"executable": "", "package": "", "version": ""},
            "pasta": {"executable": "", "package": "", "version": ""},
            "swapFree": host.memory.get("SwapFree", 0),
            "swapTotal": host.memory.get("SwapTotal", 0),
            "uptime": _uptime(host.uptime),
            "variant": "",
            "linkmode": "",
        },
        "store": {
            "configFile": server["config_file"] or "",
            "containerStore": {"number": server["containers"], "paused": 0, "running": 0, "stopped": 0},
            "graphDriverName": server["driver"],
            "graphOptions": {},
            "graphRoot": server["graphroot"],
            "graphRootAllocated": space[0],
            "graphRootUsed": space[1],
            "graphStatus": {},
            "imageCopyTmpDir": "",
            "imageStore": {"number": _images(server)},
            "runRoot": server["runroot"],
            "volumePath": "",
            "transientStore": False,
        },
        "registries": {"search": list(search)} if search else {},
        "plugins": {"volume": [], "network": [], "log": [], "authorization": None},
        "version": {
            "APIVersion": identity.podman,
            "Version": identity.podman,
            "GoVersion": "",
            "GitCommit": "",
            "BuiltTime": "",
            "Built": 0,
            "BuildOrigin": f"storaged {VERSION}",
            "OsArch": f"linux/{host.architecture}",
            "Os": "linux",
        },
    }


def _docker(context: Context, server: Mapping[str, Any], host: HostFacts) -> dict[str, Any]:
    seconds = int(host.now)
    return {
        "ID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{host.hostname}:{server['graphroot']}")),
        "Containers": server["containers"],
        "ContainersRunning": 0,
        "ContainersPaused": 0,
        "ContainersStopped": 0,
        "Images": _images(server),
        "Driver": server["driver"],
        "DriverStatus": [],
        "Plugins": {"Volume": [], "Network": [], "Authorization": None, "Log": []},
        "MemoryLimit": True,
        "SwapLimit": True,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "IPv4Forwarding": False,
        "Debug": False,
        "NFd": 0,
        "OomKillDisable": not host.unified_cgroups,
        "NGoroutines": 0,
        "SystemTime": times.rfc3339(seconds, int((host.now - seconds) * 1e9)),
        "LoggingDriver": "",
        "CgroupDriver": "",
        "NEventsListener": 0,
        "KernelVersion": host.kernel,
        "OperatingSystem": host.distribution,
        "OSVersion": host.distribution_version,
        "OSType": "linux",
        "Architecture": host.architecture,
        "IndexServerAddress": "",
        "RegistryConfig": {"IndexConfigs": {}, "InsecureRegistryCIDRs": [], "Mirrors": []},
        "NCPU": host.processors,
        "MemTotal": host.memory.get("MemTotal", 0),
        "GenericResources": None,
        "DockerRootDir": server["graphroot"],
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": host.hostname,
        "Labels": None,
        "ExperimentalBuild": True,
        "ServerVersion": context.identity.podman,
        "Runtimes": {},
        "DefaultRuntime": "",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": [],
        "ProductLicense": "Apache-2.0",
        "DefaultAddressPools": [],
        "CDISpecDirs": None,
        "Warnings": [],
        "BuildahVersion": context.identity.buildah,
        "CPURealtimePeriod": False,
        "CPURealtimeRuntime": False,
        "CgroupVersion": "2" if host.unified_cgroups else "1",
        "Rootless": os.geteuid() != 0,
        "SwapFree": host.memory.get("SwapFree", 0),
        "SwapTotal": host.memory.get("SwapTotal", 0),
        "Uptime": _uptime(host.uptime),
    }


def _images(server: Mapping[str, Any]) -> int:
    """The number of records, including lists and incomplete ones."""
    return int(server["images"] + server["manifest_lists"] + len(server["half_made"]))


def _space(path: str) -> tuple[int, int]:
    try:
        found = os.statvfs(path)
    except OSError:
        return 0, 0  # not there yet
    return found.f_blocks * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize


def _uptime(seconds: float) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    text = f"{int(hours)}h {int(minutes)}m {left:.2f}s"
    return f"{text} (Approximately {seconds / 86400:.2f} days)" if hours >= 24 or hours >= 1 else text
