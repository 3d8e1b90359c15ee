"""Decides which store a client means, and finds the socket of its daemon.

::

    a socket is given, no store      whatever that daemon serves; no store is stated
    a socket and a store             that daemon, if it serves that store
    neither, or a store              the store podman would open here; its own socket:
        storaged.sock                    the machine's default store, of the system or of the user
        store-DIGEST.sock                beside it, any other; sha256 of the graphroot, symbolic links resolved
        if nothing listens there         the socket in the store's lock file, if its daemon answers there

A socket is given by the argument (``--socket``) or ``$STORAGED_SOCKET``, a store by podman's flags or the variables
that name a storage.conf.
"""

from __future__ import annotations

import os
from contextlib import suppress

from . import address as addresses
from .errors import StorageConfError
from .storage_conf import Flags, acting_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .storage_conf.resolve import Resolved

_FILES = ("CONTAINERS_STORAGE_CONF", "CONTAINERS_STORAGE_CONF_OVERRIDE")
"""Variables that name a store like a flag does."""
_ELSEWHERE = (*_FILES, "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""Variables that give a process another store than the machine's default one."""


class Target:
    """What to connect to, what to state there, and what to start if nothing listens."""

    __slots__ = ("address", "chosen", "flags", "meant", "notice", "refusal", "stated", "uids")

    def __init__(self, address: str, flags: Flags, stated: dict[str, Any] | None = None) -> None:
        self.address = address
        self.flags = flags
        """The daemon's flags, besides the socket."""
        self.meant = stated
        self.stated = stated
        """The common parameter ``store``; None: whatever is served there. Uses the paths of the daemon last reached,
        which may know the same store by another path."""
        self.chosen = False
        """Whether the socket was given, and not derived from the store."""
        self.uids: tuple[int, ...] = ()
        """Which uids the daemon may have besides this user's and root's."""
        self.notice = ""
        """A notice about the store."""
        self.refusal = ""
        """Why no daemon may be started here."""


def find(address: str | os.PathLike[str] | None = None, flags: Flags | None = None) -> Target:
    """The daemon that a client means in this environment. Creates nothing. Blocking.

    Raises: AddressError, SocketForbidden, as ``address.find``; StorageConfError, if the store cannot be determined.
    """
    flags = flags or Flags()
    given = addresses.given(address)
    if given is not None and not flags and not any(os.environ.get(name) for name in _FILES):
        target = Target(given, flags)
        target.chosen = True
        return target
    if given is None:
        addresses.default()  # if that cannot be trusted, nothing else matters
    store = meant(flags)
    target = _target(given, store, flags)
    target.notice = store.notice
    target.chosen = given is not None
    return target


def _target(given: str | None, store: Resolved, flags: Flags) -> Target:
    if given is not None:
        return Target(given, flags, store.statement())
    owner = foreign_owner(store.graphroot)
    if owner is not None:
        return _of_its_owner(store, flags, owner)
    return Target(socket_of(store.graphroot, flags), flags, store.statement())


def meant(flags: Flags) -> Resolved:
    """The store that podman would open in this environment with these flags. Blocking.

    Raises: StorageConfError.
    """
    return _resolve(os.environ, os.geteuid(), flags)


def socket_of(graphroot: str, flags: Flags | None = None) -> str:
    """The socket of the daemon that serves ``graphroot`` for this user. Blocking.

    ``flags`` are those that selected it.

    Raises: AddressError, SocketForbidden, as ``address.default``.
    """
    if not (flags and flags.root) and not any(os.environ.get(name) for name in _ELSEWHERE):
        return addresses.default()
    bare = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return _beside(addresses.default(), graphroot, bare, os.geteuid())


def _resolve(env: Mapping[str, str], uid: int, flags: Flags) -> Resolved:
    from .storage_conf.release import release
    from .storage_conf.resolve import resolve

    return resolve(env, uid, flags, release=lambda: release(env, acting_uid(env, uid)))


def _beside(default: str, graphroot: str, bare: Mapping[str, str], uid: int) -> str:
    """``default`` if ``graphroot`` is the store of that environment, else another name in the same folder."""
    real = os.path.realpath(graphroot)
    try:
        if os.path.realpath(_resolve(bare, uid, Flags()).graphroot) == real:
            return default
    except StorageConfError:
        pass  # no default store there: this is another one
    return os.path.join(os.path.dirname(default), f"store-{digest(real)}.sock")


def digest(graphroot: str) -> str:
    """The digest in the name of a store's socket, and in the instance of its unit."""
    import hashlib

    return hashlib.sha256(os.fsencode(os.path.realpath(graphroot))).hexdigest()[:16]


def check_served(stated: Mapping[str, Any], info: Any) -> None:
    """Compare the intended store with a daemon's ``server.info``, for a daemon that does not do it itself. Blocking.

    Raises: WrongStore.
    """
    from .contract.store import check_store

    facts = info if isinstance(info, dict) else {}
    served: dict[str, Any] = {"driver": facts.get("driver")}
    served |= {name: os.path.realpath(str(facts.get(name, ""))) for name in ("graphroot", "runroot")}
    served["additional_stores"] = [os.path.realpath(str(path)) for path in facts.get("additional_stores", ())]
    check_store(stated, served)


def is_unknown(error: Exception) -> bool:
    """Whether a daemon refused a request because it does not know the parameter ``store``. Nothing was done then."""
    errors = getattr(error, "data", {}).get("errors")
    found = errors if isinstance(errors, list) else ()
    return any(
        isinstance(one, dict) and one.get("path") == "$.store" and one.get("message") == "is unknown" for one in found
    )


# ---------------------------------------------------------------- a user's store, asked for by root


def foreign_owner(graphroot: str) -> int | None:
    """The uid of the store's owner if root asks for a user's store: root's files would lock the owner out. Blocking.

    A store that does not exist yet belongs to the user for whom it is the default.
    """
    if os.geteuid() != 0:
        return None
    place = graphroot
    while True:
        try:
            owner = os.stat(place).st_uid
            break
        except FileNotFoundError:
            place = os.path.dirname(place)
        except OSError:
            return None
    if owner == 0 or (place != graphroot and not _is_default_of(owner, graphroot)):
        return None
    return owner


def _is_default_of(owner: int, graphroot: str) -> bool:
    env = _login(owner)
    places = [os.path.join(env["HOME"], ".local/share/containers/storage")]
    with suppress(StorageConfError):  # otherwise that user's files cannot be evaluated
        places.append(_resolve(env, owner, Flags()).graphroot)
    return os.path.realpath(graphroot) in map(os.path.realpath, places)


def _login(uid: int) -> dict[str, str]:
    """The environment of a user after login, as far as it determines the store."""
    import pwd

    try:
        home = pwd.getpwuid(uid).pw_dir
    except KeyError:
        home = "/nonexistent"
    return {"HOME": home, "XDG_RUNTIME_DIR": f"/run/user/{uid}", "PATH": os.environ.get("PATH", os.defpath)}


def _of_its_owner(store: Resolved, flags: Flags, owner: int) -> Target:
    bare = _login(owner)
    default = os.path.join(bare["XDG_RUNTIME_DIR"], "storaged", addresses.NAME)
    if not os.path.isdir(bare["XDG_RUNTIME_DIR"]):
        default = os.path.join(f"/tmp/storaged-{owner}", addresses.NAME)
    target = Target(_beside(default, store.graphroot, bare, owner), flags, store.statement())
    target.uids = (owner,)
    target.refusal = (
        f"{store.graphroot} is the store of uid {owner}, and root's files in it would shut that user out: "
        f"run this as that user (sudo -u '#{owner}'), or have that user's daemon run"
    )
    return target
