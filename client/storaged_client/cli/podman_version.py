"""``storagectl version``: prints the podman version that storagectl emulates, in podman's forms.

Tools that run podman ask for its version first and choose by it what they may use: RamaLama (``{{ .Client.Version
}}``), toolbox (``json``, ``Client.Version``), Ansible (``--version``). Under the name ``podman``, the flag prints
podman's line, too. ``BuildOrigin`` says what really answers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from storaged_client.contract.version import VERSION

from ..podman import PODMAN
from . import exits, output
from .flags import Flag, UsageError
from .invocation import Invocation

if TYPE_CHECKING:
    from ..gotemplate.values import Struct

ARGUMENTS = ""
CONNECTS = False
FLAGS = (Flag("format", "Output format: json or a Go template", short="f", kind="string"),)

_ARCHITECTURES = {
    "x86_64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "loongarch64": "loong64",
}
"""Go's names; for other architectures, the kernel's."""

_LABELS = (
    ("Client", None),
    ("Version", "Version"),
    ("API Version", "APIVersion"),
    ("Build Origin", "BuildOrigin"),
    ("OS/Arch", "OsArch"),
)


def run(invocation: Invocation) -> int:
    """Print the version; needs no daemon.

    Raises:
        UsageError: there are arguments.
        FormatError: ``--format`` is invalid, or asks for something that does not exist.
    """
    if invocation.arguments:
        raise UsageError("`podman version` takes no arguments")
    form = invocation.options.text("format")
    # podman does the same rewriting if no service answers.
    form = form.replace(".Server.", ".Client.") if form is not None else None
    template, json = output.chosen(form, "version")
    if template is not None:
        output.emit_filled(template, [struct()], {})
        return exits.DONE
    client = facts()
    if json:
        output.emit(output.compact({"Client": client}))
        return exits.DONE
    rows = [(f"{label}:", "Podman Engine" if field is None else client[field]) for label, field in _LABELS]
    output.emit("".join(f"{label.ljust(15)}{value}\n" for label, value in rows))
    return exits.DONE


def facts() -> dict[str, Any]:
    """podman's ``define.Version``. Nothing here was built by Go."""
    machine = os.uname().machine
    system = os.uname().sysname.lower()
    return {
        "APIVersion": PODMAN,
        "Version": PODMAN,
        "GoVersion": "",
        "GitCommit": "",
        "BuiltTime": "Thu Jan  1 00:00:00 1970",
        "Built": 0,
        "BuildOrigin": f"storagectl {VERSION}",
        "OsArch": f"{system}/{_ARCHITECTURES.get(machine, machine)}",
        "Os": system,
    }


def struct() -> Struct:
    """The fields for ``--format``: ``.Client`` and, as in podman, its fields directly."""
    from ..gotemplate.values import Struct

    client = Struct("*define.Version", facts())
    report = {"Client": client, "Server": None}
    return Struct("*define.Version", {**report, **client}, printed=("Client", "Server"), encoded={"Client": client})


def line() -> str:
    """The output of ``podman --version``."""
    return f"podman version {PODMAN}\n"
