"""A stand-in for ``storaged serve`` that takes no store: ``daemon PATH [fail | never | busy FILE]``."""

from __future__ import annotations

import os
import sys
import threading

from tests.support.server import Server


def main() -> None:
    path, how = sys.argv[1], sys.argv[2:]
    if how == ["fail"]:
        sys.exit("the store is not here\nso this daemon ends")
    if how[:1] == ["busy"] and not os.path.exists(how[1]):
        open(how[1], "w").close()
        sys.exit(75)
    if how == ["never"]:
        print("waiting for nothing", file=sys.stderr, flush=True)
        threading.Event().wait()
    ended = threading.Event()

    def shutdown(_: object) -> object:
        threading.Timer(0.05, ended.set).start()
        return {"generation": ""}

    with Server(path, {"server.info": {"pid": os.getpid()}, "server.shutdown": shutdown}):
        ended.wait()


if __name__ == "__main__":
    main()
