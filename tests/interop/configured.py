"""Which registries.conf files a podman reads, found out by what short names mean to it; compared with ``discover``.

    python -m tests.interop.configured

Each file aliases ``who`` to a target of its own, ``only-KEY`` likewise, and sets a search registry of its own. For
each of these targets an image is stored, so the image that a name means tells the file it was said in.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from storaged.sample import SampleSpec, SampleWriter, write_store
from storaged.store.registries import Registries, discover
from tests.acceptance.lookups import HousedStore, housed, lookups
from tests.support.peers import Peer, Store, podman_43, podman_58, workspace
from tests.support.report import Report, arguments

PLACES: Mapping[str, str] = {
    "main": "etc/containers/registries.conf",
    "system-a": "etc/containers/registries.conf.d/a.conf",
    "system-b": "etc/containers/registries.conf.d/b.conf",
    "user": "~/.config/containers/registries.conf",
    "user-0": "~/.config/containers/registries.conf.d/0.conf",
    "user-b": "~/.config/containers/registries.conf.d/b.conf",
    "cache": "var/cache/containers/short-name-aliases.conf",
    "home-cache": "~/.cache/containers/short-name-aliases.conf",
    "xdg-cache": "~/xdg-cache/containers/short-name-aliases.conf",
    "xdg-config": "~/xdg-config/containers/registries.conf",
    "named": "~/named.conf",
    "old": "~/old.conf",
}
_MAIN, _DROP_IN = PLACES["main"], PLACES["system-a"]


@frozen(kw_only=True)
class Case:
    """Files that lie there with what they say by default, others with ``texts``, and the environment."""

    label: str
    keys: tuple[str, ...] = ()
    texts: Mapping[str, str] = {}
    env: Mapping[str, str | None] = {}
    lay: Callable[[HousedStore], None] | None = None


def _link_a_drop_in(store: HousedStore) -> None:
    target = store.write("etc/containers/elsewhere", saying("system-a"))
    (store.house / _DROP_IN).parent.mkdir(exist_ok=True)
    (store.house / _DROP_IN).symlink_to(f"../{target.name}")


def _lay_a_folder(store: HousedStore) -> None:
    store.write(f"{_DROP_IN}/x.conf", saying("system-a"))


def _link_the_folder(store: HousedStore) -> None:
    store.write("etc/containers/real.d/a.conf", saying("system-a"))
    (store.house / _DROP_IN).parent.symlink_to("real.d")


_NAMED, _OLD = "CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH"
_SEARCH = 'unqualified-search-registries = ["main.io"]\n'
SOUND = (
    Case(label="none"),
    Case(label="system", keys=("main", "system-a", "system-b")),
    Case(label="all", keys=("main", "system-a", "system-b", "user", "user-0", "user-b", "cache", "xdg-config")),
    Case(label="user's drop-ins alone", keys=("main", "system-a", "system-b", "user-0", "user-b")),
    Case(label="named", keys=("main", "system-a", "user", "user-0", "named"), env={_NAMED: "~/named.conf"}),
    Case(label="named of old", keys=("main", "system-a", "old"), env={_OLD: "~/old.conf"}),
    Case(label="named twice", keys=("main", "named", "old"), env={_NAMED: "~/named.conf", _OLD: "~/old.conf"}),
    Case(label="named empty", keys=("main", "old"), env={_NAMED: "", _OLD: "~/old.conf"}),
    Case(label="override", keys=("main", "named"), env={f"{_NAMED}_OVERRIDE": "~/named.conf"}),
    Case(label="XDG_CONFIG_HOME", keys=("main", "user-0", "xdg-config"), env={"XDG_CONFIG_HOME": "~/xdg-config"}),
    Case(label="no HOME", keys=("main", "user", "system-a"), env={"HOME": None}),
    Case(label="cache of root", keys=("main", "cache", "xdg-cache"), env={"XDG_CACHE_HOME": "~/xdg-cache"}),
    Case(label="cache of a user", keys=("main", "cache", "home-cache"), env={"_CONTAINERS_ROOTLESS_UID": "1000"}),
    Case(
        label="XDG_CACHE_HOME of a user",
        keys=("main", "cache", "home-cache", "xdg-cache"),
        env={"_CONTAINERS_ROOTLESS_UID": "1000", "XDG_CACHE_HOME": "~/xdg-cache"},
    ),
    Case(label="version 1", texts={_MAIN: '[registries.search]\nregistries = ["main.io"]\n'}),
    Case(label="version 1 that says nothing", texts={_MAIN: f"{_SEARCH}[registries.search]\n"}),
    Case(
        label="keys in capitals",
        texts={_MAIN: f'{_SEARCH.replace("unqualified", "Unqualified")}[ALIASES]\nwho = "al.io/main/target-who"\n'},
    ),
    Case(label="alias erased by a drop-in", keys=("main",), texts={_DROP_IN: '[aliases]\nwho = ""\n'}),
    Case(label="alias erased by the cache", keys=("main",), texts={PLACES["cache"]: '[aliases]\nwho = ""\n'}),
    Case(label="no search by a drop-in", keys=("main",), texts={_DROP_IN: "unqualified-search-registries = []\n"}),
    Case(label="slash", texts={_MAIN: 'unqualified-search-registries = ["main.io//"]\n'}),
    Case(label="aliases that are no table", keys=("main",), texts={_DROP_IN: "aliases = 1\n"}),
    Case(label="unknown keys", texts={_MAIN: f"{_SEARCH}future = 1\n[more]\nx = 2\n"}),
    Case(label="a drop-in that is a link", keys=("main",), lay=_link_a_drop_in),
    Case(label="a folder named like a drop-in", keys=("main",), lay=_lay_a_folder),
    Case(label="a folder of drop-ins that is a link", keys=("main",), lay=_link_the_folder),
)


def _link_to_a_folder(store: HousedStore) -> None:
    folder = store.house / _DROP_IN
    folder.parent.mkdir(exist_ok=True)
    (store.house / "etc/containers/folder").mkdir(exist_ok=True)
    folder.symlink_to("../folder")


UNSOUND = (
    Case(label="named and missing", keys=("cache",), env={_NAMED: "~/nowhere.conf"}),
    Case(label="no table", keys=("cache",), texts={_MAIN: "registries = 1\n"}),
    Case(label="no TOML", keys=("main",), texts={_DROP_IN: "x = \n"}),
    Case(label="no TOML in the cache", keys=("main",), texts={PLACES["cache"]: "x = \n"}),
    Case(label="no strings", keys=("main",), texts={_DROP_IN: "unqualified-search-registries = [1]\n"}),
    Case(label="no array", keys=("main",), texts={_DROP_IN: 'unqualified-search-registries = "a.io"\n'}),
    Case(label="host with a path", keys=("main",), texts={_DROP_IN: 'unqualified-search-registries = ["a.io/x"]\n'}),
    Case(label="empty host", keys=("main",), texts={_DROP_IN: 'unqualified-search-registries = [""]\n'}),
    Case(label="address", keys=("main",), texts={_DROP_IN: 'unqualified-search-registries = ["http://a.io"]\n'}),
    Case(label="alias with a tag", keys=("main",), texts={_DROP_IN: '[aliases]\nx = "al.io/x:1"\n'}),
    Case(label="alias without a registry", keys=("main",), texts={_DROP_IN: '[aliases]\nx = "x/y"\n'}),
    Case(label="alias of a full name", keys=("main",), texts={_DROP_IN: '[aliases]\n"al.io/x" = "al.io/y"\n'}),
    Case(label="alias in capitals", keys=("main",), texts={_DROP_IN: '[aliases]\nX = "al.io/y"\n'}),
    Case(
        label="version 1 in a drop-in", keys=("main",), texts={_DROP_IN: '[registries.search]\nregistries = ["a.io"]\n'}
    ),
    Case(
        label="mixed versions", keys=("cache",), texts={_MAIN: f"{_SEARCH}[registries.search]\nregistries = ['a.io']\n"}
    ),
    Case(label="a drop-in that is a link to a folder", keys=("main",), lay=_link_to_a_folder),
)


def main(argv: Sequence[str] | None = None) -> int:
    arguments(__doc__ or "", argv)
    report = Report()
    for peer in (podman_43(), podman_58()):
        compare(report, peer)
    return report.finish()


def saying(key: str) -> str:
    """What the file of a key says by default; a cache knows aliases only."""
    search = "" if "cache" in key else f'unqualified-search-registries = ["{key}.io"]\n'
    return f'{search}[aliases]\nwho = "al.io/{key}/target-who"\nonly-{key} = "al.io/{key}/target-only"\n'


def compare(report: Report, peer: Peer) -> None:
    """Every case on one store of the peer."""
    with workspace(peer) as base:
        spec = SampleSpec(images=3, seed=1, driver="vfs", for_podman_4=True)
        write_store(base.graphroot, base.runroot, spec)
        writer = SampleWriter(base.graphroot, base.runroot, base.driver)
        stored = [
            name for key in PLACES for name in (f"al.io/{key}/target-who", f"al.io/{key}/target-only", f"{key}.io/it")
        ]
        ids = {name: writer.add_image(name, names=(f"{name}:latest",)) for name in stored}
        for case in SOUND:
            meanings, registries = _case(base, case, ids)
            report.claim(not registries.broken, f"{peer.name}, {case.label}: broken: {registries.broken}")
            for name, (theirs, ours) in meanings.items():
                report.claim(theirs == ours, f"{peer.name}, {case.label}: {name}: podman {theirs}, storaged {ours}")
        for case in UNSOUND:
            meanings, registries = _case(base, case, ids)
            report.claim(len(registries.broken) == 1, f"{peer.name}, {case.label}: broken: {registries.broken}")
            known = [name for name, (theirs, _) in meanings.items() if theirs is not None]
            report.claim(not known, f"{peer.name}, {case.label}: podman goes on and knows {known}")
            key = case.keys[0]
            report.claim(
                meanings[f"only-{key}"][1] == f"al.io/{key}/target-only",
                f"{peer.name}, {case.label}: storaged lost what {key} says",
            )


def _case(
    base: Store, case: Case, ids: Mapping[str, str]
) -> tuple[dict[str, tuple[str | None, str | None]], Registries]:
    """What each name means to podman and to storaged, and the configuration storaged found."""
    for folder in ("house", ".config", ".cache", "xdg-cache", "xdg-config"):
        shutil.rmtree(base.work / folder, ignore_errors=True)
    env = {key: value.replace("~", str(base.work)) if value else value for key, value in case.env.items()}
    store = housed(base, {"CONTAINERS_REGISTRIES_CONF": None, **env})
    for key in case.keys:
        store.write(PLACES[key], saying(key))
    for path, text in case.texts.items():
        store.write(path, text)
    if case.lay is not None:
        case.lay(store)
    registries = discover(store.environment(), 0, system_root=str(store.house))
    names = {image: name for name, image in ids.items()}
    meanings: dict[str, tuple[str | None, str | None]] = {}
    with lookups(store) as podman:
        for asked in ("who", "it", *(f"only-{key}" for key in PLACES)):
            found = podman.ask(asked).id
            ours = next((each for each in registries.candidates(asked) if each in ids), None)
            # A short name that nothing of the configuration leads to is looked for at the end of stored names.
            ours = ours or next((each for each in ids if each.endswith(f"/{asked}")), None)
            meanings[asked] = (names[found] if found else None, ours)
    return meanings, registries


if __name__ == "__main__":
    sys.exit(main())
