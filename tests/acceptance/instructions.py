"""What each question costs in instructions of the processor, one line a question: ``NAME TAB FIRST TAB MORE``.

Run under valgrind's cachegrind by ``acceptance.costs``: a child that asks once, and one that asks eleven times. Their
counts differ by those of ten questions, whatever the store cost to make. Prints the two process ids.
"""

from __future__ import annotations

import gc
import os
import sys

from tests.support.questions import DEPTH, QUESTIONS, store_of

MORE = 10


def main() -> None:
    """The argument is the number of images."""
    gc.disable()
    snapshot = store_of(int(sys.argv[1]), DEPTH)
    for name, ask in QUESTIONS.items():
        children = []
        for rounds in (1, 1 + MORE):
            child = os.fork()
            if not child:
                for _ in range(rounds):
                    ask(snapshot)
                os._exit(0)
            os.waitpid(child, 0)
            children.append(child)
        print(name, *children, sep="\t", flush=True)


if __name__ == "__main__":
    main()
