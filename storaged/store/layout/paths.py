"""The paths in a store. ``drv`` is the driver's name.

::

    graphroot/                               0700, persistent
    ├── storage.lock                         the graph lock: driver, mounts, shutdown
    ├── storaged/                            ours, 0700: instance lock, reserve, earlier JSON, journal, removed/
    ├── drv-images/
    │   ├── images.json  images.lock
    │   └── <image id>/<big data file>       manifest, instances.json, =<base64 of other keys>
    ├── drv-layers/
    │   ├── layers.json  layers.lock
    │   ├── volatile-layers.json             layers of --rm and buildah containers (from 1.45)
    │   ├── <layer id>.tar-split.gz  <layer id>/
    │   └── tmp/                             staged creation and deletion (from 1.59)
    ├── drv-containers/
    │   ├── containers.json  containers.lock
    │   ├── volatile-containers.json         (from 1.45)
    │   └── <container id>/
    ├── overlay/<layer id>/  or  vfs/dir/<layer id>/
    └── volumes/<name>/_data                 podman's local volumes

    runroot/                                 tmpfs
    ├── drv-layers/mountpoints.json  mountpoints.lock
    └── drv-locks/sha256:<id>                digest locks: edits of one manifest list

    transient store: runroot/drv-layers/volatile-layers.json,
                     runroot/drv-containers/{volatile-containers.json,containers.lock}
    split store:     imagestore/drv-images/ holds the images; from 1.58 imagestore/drv-layers/ their layers;
                     graphroot/drv-images/ stays a second writable image store
    additional image store: the same tree as graphroot, read only

Source: containers/storage ``store.go`` (load, GetStoreFromOptions), ``layers.go`` (newLayerStore), ``containers.go``
(newContainerStore), ``images.go`` (newImageStore, makeBigDataBaseName); 1.43 to 1.63.
"""

from __future__ import annotations

import base64
import os.path

from storaged.store.layout.records import ContainerID, ImageID, LayerID

_RAW = frozenset(".0123456789abcdefghijklmnopqrstuvwxyz")


def big_data_file(key: str) -> str:
    """The file name of a big-data key: the key itself if it has only ``.``, ``0-9``, ``a-z``, else ``=`` and base64.

    Raises:
        ValueError: the key is empty or not a file name (``.``, ``..``, or a name with ``/``, which base64 may contain).
    """
    if not key:
        raise ValueError("a big-data key is never empty")
    if _RAW.issuperset(key):
        if key in (".", ".."):
            raise ValueError(f"big-data key {key!r} names a directory")
        return key
    name = "=" + base64.b64encode(key.encode("utf-8", "surrogatepass")).decode("ascii")
    if "/" in name:
        raise ValueError(f"big-data key {key!r} cannot be stored: its name would contain '/'")
    return name


def images_dir(root: str, driver: str) -> str:
    return os.path.join(root, f"{driver}-images")


def layers_dir(root: str, driver: str) -> str:
    return os.path.join(root, f"{driver}-layers")


def containers_dir(root: str, driver: str) -> str:
    return os.path.join(root, f"{driver}-containers")


def images_json(root: str, driver: str) -> str:
    return os.path.join(images_dir(root, driver), "images.json")


def images_lock(root: str, driver: str) -> str:
    return os.path.join(images_dir(root, driver), "images.lock")


def layers_json(root: str, driver: str) -> str:
    return os.path.join(layers_dir(root, driver), "layers.json")


def volatile_layers_json(root: str, driver: str) -> str:
    """``root`` is the graphroot, or the runroot of a transient store."""
    return os.path.join(layers_dir(root, driver), "volatile-layers.json")


def layers_lock(root: str, driver: str) -> str:
    return os.path.join(layers_dir(root, driver), "layers.lock")


def containers_json(root: str, driver: str) -> str:
    return os.path.join(containers_dir(root, driver), "containers.json")


def volatile_containers_json(root: str, driver: str) -> str:
    """``root`` is the graphroot, or the runroot of a transient store."""
    return os.path.join(containers_dir(root, driver), "volatile-containers.json")


def containers_lock(root: str, driver: str) -> str:
    """``root`` is the graphroot, or the runroot of a transient store."""
    return os.path.join(containers_dir(root, driver), "containers.lock")


def storage_lock(graphroot: str) -> str:
    return os.path.join(graphroot, "storage.lock")


def digest_lock(runroot: str, driver: str, image: ImageID) -> str:
    """The lock that podman holds while it edits the manifest list with this id."""
    return os.path.join(runroot, f"{driver}-locks", f"sha256:{image}")


def image_dir(root: str, driver: str, image: ImageID) -> str:
    """The folder of an image's big data. ``image`` must be 64 hexadecimal digits, like every decoded record's id."""
    return os.path.join(images_dir(root, driver), image)


def big_data_path(root: str, driver: str, image: ImageID, key: str) -> str:
    """Raises: ValueError: as :func:`big_data_file`."""
    return os.path.join(image_dir(root, driver, image), big_data_file(key))


def layer_contents(root: str, driver: str, layer: LayerID) -> str:
    """The driver's folder for a layer's files: ``overlay/<id>``, ``vfs/dir/<id>``, ``btrfs/subvolumes/<id>``."""
    match driver:
        case "vfs":
            return os.path.join(root, "vfs", "dir", layer)
        case "btrfs":
            return os.path.join(root, "btrfs", "subvolumes", layer)
        case _:
            return os.path.join(root, driver, layer)


def tar_split(root: str, driver: str, layer: LayerID) -> str:
    return os.path.join(layers_dir(root, driver), f"{layer}.tar-split.gz")


def layer_data(root: str, driver: str, layer: LayerID) -> str:
    """The folder of a layer's big data, which few layers have."""
    return os.path.join(layers_dir(root, driver), layer)


def container_dir(root: str, driver: str, container: ContainerID) -> str:
    """The folder of a container's data; ``root`` is the graphroot or the runroot, it has one in each."""
    return os.path.join(containers_dir(root, driver), container)


def container_files(root: str, driver: str, container: ContainerID) -> str:
    """The folder in which tools keep files of a container: lasting ones in the graphroot, others in the runroot
    (``store.go:ContainerDirectory``, ``ContainerRunDirectory``)."""
    return os.path.join(container_dir(root, driver, container), "userdata")


def volumes_dir(graphroot: str) -> str:
    """podman's local volumes, unless containers.conf moves them (podman ``libpod`` ``VolumePath``)."""
    return os.path.join(graphroot, "volumes")


def volume_data(graphroot: str, name: str) -> str:
    return os.path.join(volumes_dir(graphroot), name, "_data")


def own_dir(graphroot: str) -> str:
    """storaged's own folder inside a store."""
    return os.path.join(graphroot, "storaged")
