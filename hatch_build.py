"""Build hook: puts the shells' completion scripts, generated from the command table, into the wheel's ``share/``."""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PLACES = {
    "bash": "share/bash-completion/completions/storagectl",
    "fish": "share/fish/vendor_completions.d/storagectl.fish",
    "zsh": "share/zsh/site-functions/_storagectl",
}


class CompletionScripts(BuildHookInterface[Any]):
    """Makes one script per shell. The table needs only attrs, and nothing is installed for this."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="storaged-completion-")
        sys.path.insert(0, str(Path(self.root, "client")))
        try:
            places = import_module("storaged_client.cli.completion").places()
            for shell, target in _PLACES.items():
                made = Path(self._folder.name, shell)
                made.write_text(import_module(f"storaged_client.cli.completion_{shell}").script(places))
                build_data["shared_data"][str(made)] = target
        finally:
            sys.path.pop(0)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self._folder.cleanup()
