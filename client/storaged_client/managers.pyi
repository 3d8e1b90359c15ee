"""Made by docs/from_code/stubs.py of the method table and ``contract/params.py``: change those."""

from collections.abc import Mapping
from typing import Any, overload

from .calls import ArtifactMembers, Filters, Parts, PlatformMembers, Texts
from .contract import types as t
from .contract.params import Consistency, Scope, Sort
from .progress import Listener
from .verbs import Manager

class Server(Manager):
    @overload
    def info(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ServerInfo:
        """Describe the daemon, its store, and any problems."""
    @overload
    def info(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerInfo | t.Unchanged:
        """Describe the daemon, its store, and any problems."""
    @overload
    def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Answer without doing anything."""
    @overload
    def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Answer without doing anything."""
    @overload
    def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ServerStats:
        """Return the daemon's counters, times and gauges."""
    @overload
    def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerStats | t.Unchanged:
        """Return the daemon's counters, times and gauges."""
    def shutdown(self, *, consistency: Consistency = "fresh", timeout: float | None = None) -> t.Empty:
        """Drain and stop the daemon."""

class AsyncServer(Manager):
    @overload
    async def info(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ServerInfo:
        """Describe the daemon, its store, and any problems."""
    @overload
    async def info(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerInfo | t.Unchanged:
        """Describe the daemon, its store, and any problems."""
    @overload
    async def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Answer without doing anything."""
    @overload
    async def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Answer without doing anything."""
    @overload
    async def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ServerStats:
        """Return the daemon's counters, times and gauges."""
    @overload
    async def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerStats | t.Unchanged:
        """Return the daemon's counters, times and gauges."""
    async def shutdown(self, *, consistency: Consistency = "fresh", timeout: float | None = None) -> t.Empty:
        """Drain and stop the daemon."""

class Images(Manager):
    @overload
    def list(
        self,
        filters: Filters = (),
        all: bool = False,
        sort: Sort = "store",
        limit: int | None = None,
        cursor: str | None = None,
        fields: Texts | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageList:
        """List images and manifest lists, filtered, sorted, in pages."""
    @overload
    def list(
        self,
        filters: Filters = (),
        all: bool = False,
        sort: Sort = "store",
        limit: int | None = None,
        cursor: str | None = None,
        fields: Texts | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageList | t.Unchanged:
        """List images and manifest lists, filtered, sorted, in pages."""
    @overload
    def get(
        self,
        names: str,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageDetails:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    def get(
        self, names: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageDetails | t.Unchanged:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageDetailsList:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageDetailsList | t.Unchanged:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    def exists(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Exists:
        """Tell whether an image has this name."""
    @overload
    def exists(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Exists | t.Unchanged:
        """Tell whether an image has this name."""
    @overload
    def resolve(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Resolved:
        """Find the image that a name refers to, and the rule that applied."""
    @overload
    def resolve(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Resolved | t.Unchanged:
        """Find the image that a name refers to, and the rule that applied."""
    @overload
    def why(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Why:
        """Explain why an image is kept, or that nothing keeps it."""
    @overload
    def why(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Why | t.Unchanged:
        """Explain why an image is kept, or that nothing keeps it."""
    @overload
    def relations(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Relations:
        """Return parent, children, ancestors and siblings of an image."""
    @overload
    def relations(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Relations | t.Unchanged:
        """Return parent, children, ancestors and siblings of an image."""
    @overload
    def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ImageHistory:
        """Return the instructions that built an image, newest first, with their sizes and images."""
    @overload
    def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageHistory | t.Unchanged:
        """Return the instructions that built an image, newest first, with their sizes and images."""
    @overload
    def tree(
        self,
        name: str,
        what_requires: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageTree:
        """Return the layers of an image, base first, or all layers on top of it."""
    @overload
    def tree(
        self,
        name: str,
        what_requires: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageTree | t.Unchanged:
        """Return the layers of an image, base first, or all layers on top of it."""
    @overload
    def data(
        self,
        name: str,
        key: str,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Data:
        """Return one item of an image's big data, up to 1 MiB."""
    @overload
    def data(
        self,
        name: str,
        key: str,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Data | t.Unchanged:
        """Return one item of an image's big data, up to 1 MiB."""
    def create(
        self,
        config: Mapping[str, Any],
        names: Texts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.Created:
        """Create an image from a configuration, without layers."""
    def tag(
        self, name: str, tags: Texts, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Give names to an image or list; a name is taken from the image that has it."""
    def untag(
        self, name: str, tags: Texts = (), *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Remove some or all names of an image or list; the image stays."""
    def remove(
        self,
        names: Texts = (),
        force: bool = False,
        ignore: bool = False,
        no_prune: bool = False,
        all: bool = False,
        dry_run: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove names, and images with their last name; one failure does not stop the others."""
    def prune(
        self,
        filters: Filters = (),
        all: bool = False,
        external: bool = False,
        dry_run: bool = False,
        plan: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove images that nothing needs, or report which and why; one failure does not stop the others."""

class AsyncImages(Manager):
    @overload
    async def list(
        self,
        filters: Filters = (),
        all: bool = False,
        sort: Sort = "store",
        limit: int | None = None,
        cursor: str | None = None,
        fields: Texts | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageList:
        """List images and manifest lists, filtered, sorted, in pages."""
    @overload
    async def list(
        self,
        filters: Filters = (),
        all: bool = False,
        sort: Sort = "store",
        limit: int | None = None,
        cursor: str | None = None,
        fields: Texts | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageList | t.Unchanged:
        """List images and manifest lists, filtered, sorted, in pages."""
    @overload
    async def get(
        self,
        names: str,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageDetails:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    async def get(
        self, names: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageDetails | t.Unchanged:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    async def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageDetailsList:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    async def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageDetailsList | t.Unchanged:
        """Return everything known of several images; a bad name does not affect the others."""
    @overload
    async def exists(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Exists:
        """Tell whether an image has this name."""
    @overload
    async def exists(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Exists | t.Unchanged:
        """Tell whether an image has this name."""
    @overload
    async def resolve(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Resolved:
        """Find the image that a name refers to, and the rule that applied."""
    @overload
    async def resolve(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Resolved | t.Unchanged:
        """Find the image that a name refers to, and the rule that applied."""
    @overload
    async def why(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Why:
        """Explain why an image is kept, or that nothing keeps it."""
    @overload
    async def why(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Why | t.Unchanged:
        """Explain why an image is kept, or that nothing keeps it."""
    @overload
    async def relations(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Relations:
        """Return parent, children, ancestors and siblings of an image."""
    @overload
    async def relations(
        self,
        name: str,
        manifest: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Relations | t.Unchanged:
        """Return parent, children, ancestors and siblings of an image."""
    @overload
    async def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ImageHistory:
        """Return the instructions that built an image, newest first, with their sizes and images."""
    @overload
    async def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageHistory | t.Unchanged:
        """Return the instructions that built an image, newest first, with their sizes and images."""
    @overload
    async def tree(
        self,
        name: str,
        what_requires: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageTree:
        """Return the layers of an image, base first, or all layers on top of it."""
    @overload
    async def tree(
        self,
        name: str,
        what_requires: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageTree | t.Unchanged:
        """Return the layers of an image, base first, or all layers on top of it."""
    @overload
    async def data(
        self,
        name: str,
        key: str,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.Data:
        """Return one item of an image's big data, up to 1 MiB."""
    @overload
    async def data(
        self,
        name: str,
        key: str,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.Data | t.Unchanged:
        """Return one item of an image's big data, up to 1 MiB."""
    async def create(
        self,
        config: Mapping[str, Any],
        names: Texts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.Created:
        """Create an image from a configuration, without layers."""
    async def tag(
        self, name: str, tags: Texts, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Give names to an image or list; a name is taken from the image that has it."""
    async def untag(
        self, name: str, tags: Texts = (), *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Remove some or all names of an image or list; the image stays."""
    async def remove(
        self,
        names: Texts = (),
        force: bool = False,
        ignore: bool = False,
        no_prune: bool = False,
        all: bool = False,
        dry_run: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove names, and images with their last name; one failure does not stop the others."""
    async def prune(
        self,
        filters: Filters = (),
        all: bool = False,
        external: bool = False,
        dry_run: bool = False,
        plan: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove images that nothing needs, or report which and why; one failure does not stop the others."""

class Layers(Manager):
    @overload
    def list(
        self,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.LayerList:
        """List all layers, in the order of the store."""
    @overload
    def list(
        self,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.LayerList | t.Unchanged:
        """List all layers, in the order of the store."""
    @overload
    def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.LayerDetails:
        """Return one layer, its chain to the base, and its child layers."""
    @overload
    def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.LayerDetails | t.Unchanged:
        """Return one layer, its chain to the base, and its child layers."""
    @overload
    def tree(
        self,
        id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.LayerList:
        """Return the forest of layers, or the tree on top of one layer, parents first."""
    @overload
    def tree(
        self,
        id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.LayerList | t.Unchanged:
        """Return the forest of layers, or the tree on top of one layer, parents first."""

class AsyncLayers(Manager):
    @overload
    async def list(
        self,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.LayerList:
        """List all layers, in the order of the store."""
    @overload
    async def list(
        self,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.LayerList | t.Unchanged:
        """List all layers, in the order of the store."""
    @overload
    async def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.LayerDetails:
        """Return one layer, its chain to the base, and its child layers."""
    @overload
    async def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.LayerDetails | t.Unchanged:
        """Return one layer, its chain to the base, and its child layers."""
    @overload
    async def tree(
        self,
        id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.LayerList:
        """Return the forest of layers, or the tree on top of one layer, parents first."""
    @overload
    async def tree(
        self,
        id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.LayerList | t.Unchanged:
        """Return the forest of layers, or the tree on top of one layer, parents first."""

class Manifests(Manager):
    @overload
    def list(
        self,
        include: Parts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ManifestLists:
        """List all local manifest lists, with instances and annotations on request."""
    @overload
    def list(
        self,
        include: Parts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ManifestLists | t.Unchanged:
        """List all local manifest lists, with instances and annotations on request."""
    @overload
    def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ManifestDetails:
        """Return one manifest list and the JSON of its manifest."""
    @overload
    def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ManifestDetails | t.Unchanged:
        """Return one manifest list and the JSON of its manifest."""
    @overload
    def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Exists:
        """Tell whether a manifest list has this name."""
    @overload
    def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Exists | t.Unchanged:
        """Tell whether a manifest list has this name."""
    @overload
    def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ReferencedDigests:
        """Return the digests that local lists name, and the lists that name them."""
    @overload
    def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ReferencedDigests | t.Unchanged:
        """Return the digests that local lists name, and the lists that name them."""
    def create(
        self,
        name: str,
        images: Texts = (),
        all: bool = False,
        amend: bool = False,
        annotations: Mapping[str, str] | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.ListEdited:
        """Create a manifest list of local images, or nothing if one fails."""
    def add(
        self,
        name: str,
        image: str | None = None,
        all: bool = False,
        platform: PlatformMembers | None = None,
        annotations: Mapping[str, str] | None = None,
        artifact: ArtifactMembers | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.ListEdited:
        """Add a local image, a list's entries, or an artifact made of data or files given here, to a list."""
    def annotate(
        self,
        name: str,
        digest: str | None = None,
        platform: PlatformMembers | None = None,
        annotations: Mapping[str, str] | None = None,
        index: bool = False,
        subject: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.ListEdited:
        """Change platform and annotations of an entry, or annotations and subject of the list itself."""
    def remove_instance(
        self, name: str, digest: str, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.ListEdited:
        """Remove an entry of a manifest list; its image stays."""
    def remove(
        self,
        names: Texts,
        ignore: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove manifest lists, or one of their names; failures are reported and do not stop the others."""

class AsyncManifests(Manager):
    @overload
    async def list(
        self,
        include: Parts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ManifestLists:
        """List all local manifest lists, with instances and annotations on request."""
    @overload
    async def list(
        self,
        include: Parts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ManifestLists | t.Unchanged:
        """List all local manifest lists, with instances and annotations on request."""
    @overload
    async def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ManifestDetails:
        """Return one manifest list and the JSON of its manifest."""
    @overload
    async def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ManifestDetails | t.Unchanged:
        """Return one manifest list and the JSON of its manifest."""
    @overload
    async def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Exists:
        """Tell whether a manifest list has this name."""
    @overload
    async def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Exists | t.Unchanged:
        """Tell whether a manifest list has this name."""
    @overload
    async def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ReferencedDigests:
        """Return the digests that local lists name, and the lists that name them."""
    @overload
    async def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ReferencedDigests | t.Unchanged:
        """Return the digests that local lists name, and the lists that name them."""
    async def create(
        self,
        name: str,
        images: Texts = (),
        all: bool = False,
        amend: bool = False,
        annotations: Mapping[str, str] | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.ListEdited:
        """Create a manifest list of local images, or nothing if one fails."""
    async def add(
        self,
        name: str,
        image: str | None = None,
        all: bool = False,
        platform: PlatformMembers | None = None,
        annotations: Mapping[str, str] | None = None,
        artifact: ArtifactMembers | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.ListEdited:
        """Add a local image, a list's entries, or an artifact made of data or files given here, to a list."""
    async def annotate(
        self,
        name: str,
        digest: str | None = None,
        platform: PlatformMembers | None = None,
        annotations: Mapping[str, str] | None = None,
        index: bool = False,
        subject: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.ListEdited:
        """Change platform and annotations of an entry, or annotations and subject of the list itself."""
    async def remove_instance(
        self, name: str, digest: str, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.ListEdited:
        """Remove an entry of a manifest list; its image stays."""
    async def remove(
        self,
        names: Texts,
        ignore: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove manifest lists, or one of their names; failures are reported and do not stop the others."""

class Containers(Manager):
    @overload
    def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ContainerList:
        """List the storage containers of all tools."""
    @overload
    def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ContainerList | t.Unchanged:
        """List the storage containers of all tools."""

class AsyncContainers(Manager):
    @overload
    async def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ContainerList:
        """List the storage containers of all tools."""
    @overload
    async def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ContainerList | t.Unchanged:
        """List the storage containers of all tools."""

class Store(Manager):
    @overload
    def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
        progress: Listener | None = None,
    ) -> t.CheckReport:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
        progress: Listener | None = None,
    ) -> t.CheckReport | t.Unchanged:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """Return the disk usage of images, containers and volumes."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """Return the disk usage of images, containers and volumes."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Check the store again now."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Check the store again now."""
    def lease(
        self, images: Texts, ttl: float = 600.0, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Lease:
        """Protect images from every prune and removal by this daemon, while the connection lasts."""
    def release(self, lease: str, *, consistency: Consistency = "fresh", timeout: float | None = None) -> t.Empty:
        """End a lease of this connection."""

class AsyncStore(Manager):
    @overload
    async def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
        progress: Listener | None = None,
    ) -> t.CheckReport:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    async def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
        progress: Listener | None = None,
    ) -> t.CheckReport | t.Unchanged:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """Return the disk usage of images, containers and volumes."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """Return the disk usage of images, containers and volumes."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Check the store again now."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Check the store again now."""
    async def lease(
        self, images: Texts, ttl: float = 600.0, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Lease:
        """Protect images from every prune and removal by this daemon, while the connection lasts."""
    async def release(self, lease: str, *, consistency: Consistency = "fresh", timeout: float | None = None) -> t.Empty:
        """End a lease of this connection."""

class Nouns:
    server: Server
    images: Images
    layers: Layers
    manifests: Manifests
    containers: Containers
    store: Store
    @overload
    def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
        progress: Listener | None = None,
    ) -> t.CheckReport:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
        progress: Listener | None = None,
    ) -> t.CheckReport | t.Unchanged:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """Return the disk usage of images, containers and volumes."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """Return the disk usage of images, containers and volumes."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Check the store again now."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Check the store again now."""

class AsyncNouns:
    server: AsyncServer
    images: AsyncImages
    layers: AsyncLayers
    manifests: AsyncManifests
    containers: AsyncContainers
    store: AsyncStore
    @overload
    async def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
        progress: Listener | None = None,
    ) -> t.CheckReport:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    async def check(
        self,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
        progress: Listener | None = None,
    ) -> t.CheckReport | t.Unchanged:
        """Check that records and files match: what is wrong, what it endangers, and how to repair it."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """Return the disk usage of images, containers and volumes."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """Return the disk usage of images, containers and volumes."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Check the store again now."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Check the store again now."""
