"""The commands that are compared as whole processes, and how each is run on one store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from tests.support.peers import ToolError

from .figures import BUILDAH, CONTAINERS_STORAGE, NOTHING, PODMAN, STORAGECTL
from .stage import Run, Stage

_PATIENCE = 300.0
_STORAGECTL = Path(sys.executable).with_name("storagectl")


@frozen(kw_only=True)
class Command:
    """One call of a program."""

    who: str
    argv: Sequence[str]
    environment: dict[str, str]
    folder: Path

    def printed(self) -> str:
        """Run it.

        Raises:
            ToolError: it failed.
        """
        done = subprocess.run(
            self.argv,
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise ToolError(f"{' '.join(self.argv)}: exit {done.returncode}: {done.stderr[-1000:]}")
        return done.stdout

    def timed(self) -> float:
        """Seconds from before it starts until its end and its output are known."""
        start = time.perf_counter()
        self.printed()
        return time.perf_counter() - start


@frozen(kw_only=True)
class Tools:
    """The programs that are there, on one store. ``prefix``: what enters podman's root (``stage.inside``)."""

    run: Run
    on: Stage
    prefix: Sequence[str]

    def there(self) -> list[str]:
        """Their names, ours first. What is missing is written down.

        Raises:
            ToolError: this repository is not installed.
        """
        if not _STORAGECTL.exists():
            raise ToolError(f"{_STORAGECTL} is missing: pip install -e .")
        found = [STORAGECTL]
        if self.run.podman is not None:
            found += [PODMAN, BUILDAH]
        if shutil.which(CONTAINERS_STORAGE) is not None:
            found.append(CONTAINERS_STORAGE)
        else:
            self.run.missing[CONTAINERS_STORAGE] = "not installed: apt-get install containers-storage"
        return found

    def command(self, who: str, *arguments: str) -> Command:
        """A program's command on this store."""
        store, environment = self.on.store, self.on.store.environment()
        if who == STORAGECTL:
            argv = [str(_STORAGECTL), "--socket", str(self.on.daemon.path), *arguments]
            environment = {**os.environ, "STORAGED_NO_SPAWN": "1"}
        elif who == NOTHING:
            argv, environment = [sys.executable, "-c", "pass"], dict(os.environ)
        elif who == CONTAINERS_STORAGE:
            places = ["-g", str(store.graphroot), "-R", str(store.runroot), "-s", store.driver]
            argv = [who, arguments[0], *places, *arguments[1:]]
        else:
            argv = [*self.prefix, who, *arguments]
        return Command(who=who, argv=argv, environment=environment, folder=store.work)

    def true(self, prefix: Sequence[str]) -> Command:
        """Nothing at all, among the files that ``prefix`` enters."""
        argv = [*prefix, "true"]
        return Command(who="true", argv=argv, environment=self.on.store.environment(), folder=self.on.store.work)
