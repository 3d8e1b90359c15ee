"""The table of ``storagectl``'s commands: the module of each, and the methods it calls.

A command's module has ``FLAGS`` (its own, besides the global ones), ``ARGUMENTS`` (for its help) and ``run(invocation)
-> int``. Optional: ``PODMANS``, podman's flags that storagectl refuses; ``IGNORED``, flags that podman accepts and
ignores; ``CONNECTS = False`` for a command that needs no daemon. A flag of ``flags.OUTPUT`` that is not in ``FLAGS`` is
refused. A test compares this table with the method table.
"""

from __future__ import annotations


class Command:
    """One command: its path, module, methods, and a sentence for the help."""

    __slots__ = ("methods", "module", "path", "summary")

    def __init__(self, path: str, module: str, methods: tuple[str, ...], summary: str) -> None:
        self.path = path
        self.module = module
        self.methods = methods
        self.summary = summary


_IMAGES = ("images", ("images.list",), "List images in local storage")
_EXISTS = ("image_exists", ("images.exists",), "Check if an image exists in local storage")
_INSPECT = ("image_inspect", ("images.get",), "Display the configuration of an image")
_INSPECT_ANY = ("inspect_objects", ("images.get", "containers.list"), "Display the configuration of an image")

_TREE = ("image_tree", ("images.tree",), "Print layer hierarchy of an image in a tree format")
_HISTORY = ("image_history", ("images.history",), "Show history of a specified image")
_DF = ("system_df", ("store.usage",), "Show disk usage of images, containers and volumes")

_TAG = ("image_tag", ("images.tag",), "Add an additional name to a local image or list")
_UNTAG = ("image_untag", ("images.untag",), "Remove a name from a local image or list")
_RM = ("image_rm", ("images.remove",), "Remove images from local storage")
_PRUNE = ("image_prune", ("images.prune",), "Remove images that nothing needs")

COMMANDS: tuple[Command, ...] = (
    Command("images", *_IMAGES),
    Command("image ls", *_IMAGES),
    Command("image list", *_IMAGES),
    Command("exists", *_EXISTS),
    Command("image exists", *_EXISTS),
    Command("inspect", *_INSPECT_ANY),
    Command("image inspect", *_INSPECT),
    Command("history", *_HISTORY),
    Command("image history", *_HISTORY),
    Command("tree", *_TREE),
    Command("image tree", *_TREE),
    Command("df", *_DF),
    Command("system df", *_DF),
    Command("tag", *_TAG),
    Command("image tag", *_TAG),
    Command("untag", *_UNTAG),
    Command("image untag", *_UNTAG),
    Command("rmi", *_RM),
    Command("image rm", *_RM),
    Command("prune", *_PRUNE),
    Command("image prune", *_PRUNE),
    Command("why", "why", ("images.why",), "Show why an image is kept, or that nothing keeps it"),
    Command("manifest ls", "manifest_ls", ("manifests.list",), "List manifest lists and image indexes"),
    Command("manifest inspect", "manifest_inspect", ("manifests.get",), "Display the contents of a manifest list"),
    Command(
        "manifest exists",
        "manifest_exists",
        ("manifests.exists",),
        "Check if a manifest list exists in local storage",
    ),
    Command("manifest create", "manifest_create", ("manifests.create",), "Create a manifest list or image index"),
    Command("manifest add", "manifest_add", ("manifests.add",), "Add images or artifacts to a manifest list"),
    Command(
        "manifest annotate",
        "manifest_annotate",
        ("manifests.annotate",),
        "Change a manifest list or an entry of it",
    ),
    Command("manifest remove", "manifest_remove", ("manifests.remove_instance",), "Remove an entry of a manifest list"),
    Command("manifest rm", "manifest_rm", ("manifests.remove",), "Remove manifest lists from local storage"),
    Command("layers", "layers", ("layers.list", "layers.get", "layers.tree"), "List layers"),
    Command("containers", "containers", ("containers.list",), "List the storage containers of all tools"),
    Command("check", "check", ("store.check",), "Check the store, and show how to repair it"),
    Command("info", "info", ("server.info",), "Show the store, the daemon, and any problems"),
    Command("system info", "info", ("server.info",), "Show the store, the daemon, and any problems"),
    Command("stats", "stats", ("server.stats",), "Show what the daemon does and what it costs"),
    Command("version", "podman_version", (), "Print the podman version that storagectl emulates"),
    Command("call", "call", (), "Call a method and print its raw result"),
    Command("completion", "completion", (), "Print the completion script of a shell"),
)

BY_PATH: dict[str, Command] = {command.path: command for command in COMMANDS}

CALL_ONLY: dict[str, str] = {
    "server.ping": "returns nothing",
    "server.shutdown": "`storaged stop`",
    "images.resolve": "`inspect` and `why` show the id",
    "images.relations": "for programs; `why` names the children that keep an image",
    "images.data": "raw bytes for programs",
    "manifests.referenced": "for programs; `why` names the lists that keep an image",
    "store.lease": "ends with its connection, and so with the command",
    "store.release": "as `store.lease`",
    "images.create": "for programs; `podman build` builds images from a Containerfile",
    "store.refresh": "every read checks the store anyway",
}
"""Methods without a command, and where a person finds the same information."""

GROUPS = ("image", "manifest", "system")
"""First words whose second word belongs to the command."""

_PODMANS = {
    "": "artifact attach auto-update build commit compose container cp create diff events exec export farm generate "
    "healthcheck history image import init kill kube load login logout logs machine manifest mount network pause pod "
    "port ps pull push quadlet rename restart rm rmi run save search secret start stats stop system tag top unmount "
    "unpause unshare untag update volume wait",
    "image": "build diff history import load mount prune pull push rm save scp search sign tag tree trust unmount "
    "untag",
    "manifest": "add annotate create push remove rm",
    "system": "check connection events info locks migrate prune renumber reset service",
}


def is_podmans(path: list[str]) -> bool:
    """Whether these one or two words are a command of podman 5.8. Check our own commands first."""
    *group, word = path
    return word in _PODMANS.get(" ".join(group), "").split()
