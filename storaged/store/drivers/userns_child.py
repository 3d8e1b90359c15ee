"""The child in the user namespace: reads commands from stdin and answers each, until stdin ends.

::

    each line is a JSON array of strings, each the hexadecimal form of its bytes
    unshare               enter a new user namespace              → ok
    map UID GID           map only our own ids, to 0              → ok
    begin                 become its root                         → ok
    rename SOURCE TARGET                                          → ok
    remove PATH           remove the tree                         → ok, or left PATH WHY
    any failure                                                   → error ERRNO TEXT

It has one thread, because a process with more cannot enter a namespace, and imports only what it needs.
"""

from __future__ import annotations

import ctypes
import os
import sys

import msgspec

from storaged.store.drivers.removal import remove_tree
from storaged.store.files import Files

_CLONE_NEWUSER = 0x10000000


def main() -> int:
    files = Files()
    for line in sys.stdin.buffer:
        command = [os.fsdecode(bytes.fromhex(word)) for word in msgspec.json.decode(line)]
        try:
            answer = _obey(files, command)
        except OSError as error:
            answer = ["error", str(error.errno or 5), error.strerror or str(error)]
        sys.stdout.buffer.write(msgspec.json.encode([os.fsencode(word).hex() for word in answer]) + b"\n")
        sys.stdout.buffer.flush()
    return 0


def _obey(files: Files, command: list[str]) -> list[str]:
    match command:
        case ["unshare"]:
            _unshare()
        case ["map", uid, gid]:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/gid_map", f"0 {gid} 1")
            _write("/proc/self/uid_map", f"0 {uid} 1")
        case ["begin"]:
            # We have had the capabilities of the namespace since unshare; the ids make new files root's.
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        case ["rename", source, target]:
            files.rename(source, target)
        case ["remove", path]:
            left = remove_tree(files, path)
            if left is not None:
                return ["left", left.path, left.detail]
        case _:
            raise OSError(22, f"unknown command {command[:1]}")
    return ["ok"]


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
