"""Filters of a listing: podman's language and a few additional words, compiled into one test of an image.

::

    after, since, before = NAME     created later, earlier than that image (its instance here, if it is a list)
    until = TIME                    created earlier: unix seconds, a date, a duration back from now
    containers = true|false         a storage container of any tool uses it
    containers = external           all containers that use it, if any, are not podman's
    dangling, intermediate, manifest, readonly, damaged = true|false
    digest = sha256:HEX             any of its digests begins so
    id = HEX                        its id begins so
    label = KEY[=VALUE]             * in KEY: the rest of the key anywhere in a label's
    reference = NAME|PATTERN        see ``reference``
    in-list = LIST                  that manifest list names it, by any digest
    layer = ID                      its chain contains that layer; a unique beginning is enough
    unique-size > SIZE, < SIZE      the size that only it uses: 100MB, 1.5GiB

``language`` splits a filter, ``compiling`` makes the test, the other modules have one topic each.
"""

from storaged.operations.filters.compiling import (
    MOST_FILTERS,
    MOST_REFERENCES,
    SERVED,
    Compiled,
    compile_filters,
    laborious,
)

__all__ = ["MOST_FILTERS", "MOST_REFERENCES", "SERVED", "Compiled", "compile_filters", "laborious"]
