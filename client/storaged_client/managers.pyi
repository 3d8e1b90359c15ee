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
        """Which daemon this is, which store it serves, and what is wrong with it."""
    @overload
    def info(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerInfo | t.Unchanged:
        """Which daemon this is, which store it serves, and what is wrong with it."""
    @overload
    def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Answer, and nothing else."""
    @overload
    def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Answer, and nothing else."""
    @overload
    def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ServerStats:
        """Counters, times and gauges of this daemon."""
    @overload
    def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerStats | t.Unchanged:
        """Counters, times and gauges of this daemon."""
    def shutdown(self, *, consistency: Consistency = "fresh", timeout: float | None = None) -> t.Empty:
        """Drain and end the daemon."""

class AsyncServer(Manager):
    @overload
    async def info(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ServerInfo:
        """Which daemon this is, which store it serves, and what is wrong with it."""
    @overload
    async def info(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerInfo | t.Unchanged:
        """Which daemon this is, which store it serves, and what is wrong with it."""
    @overload
    async def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Answer, and nothing else."""
    @overload
    async def ping(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Answer, and nothing else."""
    @overload
    async def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ServerStats:
        """Counters, times and gauges of this daemon."""
    @overload
    async def stats(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ServerStats | t.Unchanged:
        """Counters, times and gauges of this daemon."""
    async def shutdown(self, *, consistency: Consistency = "fresh", timeout: float | None = None) -> t.Empty:
        """Drain and end the daemon."""

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
        """Everything known of several images; one bad name fails no other."""
    @overload
    def get(
        self, names: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageDetails | t.Unchanged:
        """Everything known of several images; one bad name fails no other."""
    @overload
    def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageDetailsList:
        """Everything known of several images; one bad name fails no other."""
    @overload
    def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageDetailsList | t.Unchanged:
        """Everything known of several images; one bad name fails no other."""
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
        """Whether a name means an image."""
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
        """Whether a name means an image."""
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
        """The image a name means, and by which rule."""
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
        """The image a name means, and by which rule."""
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
        """Why an image is kept, or would go."""
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
        """Why an image is kept, or would go."""
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
        """Parent, children, ancestors and siblings of an image."""
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
        """Parent, children, ancestors and siblings of an image."""
    @overload
    def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ImageHistory:
        """The instructions an image was made by, newest first, with their sizes and images."""
    @overload
    def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageHistory | t.Unchanged:
        """The instructions an image was made by, newest first, with their sizes and images."""
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
        """The layers of an image, base first, or all layers that stand on it."""
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
        """The layers of an image, base first, or all layers that stand on it."""
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
        """One item of an image's big data, up to 1 MiB."""
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
        """One item of an image's big data, up to 1 MiB."""
    def create(
        self,
        config: Mapping[str, Any],
        names: Texts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.Created:
        """Make an image of a configuration alone, without layers."""
    def tag(
        self, name: str, tags: Texts, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Give names to an image or list; a name that another bears is taken from it."""
    def untag(
        self, name: str, tags: Texts = (), *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Take names from an image or list, or all of them; it stays."""
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
        """Remove names, and images with their last one; one failure hinders no other."""
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
        """Remove images that nothing needs, or tell which and why; one failure hinders no other."""

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
        """Everything known of several images; one bad name fails no other."""
    @overload
    async def get(
        self, names: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageDetails | t.Unchanged:
        """Everything known of several images; one bad name fails no other."""
    @overload
    async def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ImageDetailsList:
        """Everything known of several images; one bad name fails no other."""
    @overload
    async def get(
        self,
        names: Texts,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ImageDetailsList | t.Unchanged:
        """Everything known of several images; one bad name fails no other."""
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
        """Whether a name means an image."""
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
        """Whether a name means an image."""
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
        """The image a name means, and by which rule."""
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
        """The image a name means, and by which rule."""
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
        """Why an image is kept, or would go."""
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
        """Why an image is kept, or would go."""
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
        """Parent, children, ancestors and siblings of an image."""
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
        """Parent, children, ancestors and siblings of an image."""
    @overload
    async def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ImageHistory:
        """The instructions an image was made by, newest first, with their sizes and images."""
    @overload
    async def history(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ImageHistory | t.Unchanged:
        """The instructions an image was made by, newest first, with their sizes and images."""
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
        """The layers of an image, base first, or all layers that stand on it."""
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
        """The layers of an image, base first, or all layers that stand on it."""
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
        """One item of an image's big data, up to 1 MiB."""
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
        """One item of an image's big data, up to 1 MiB."""
    async def create(
        self,
        config: Mapping[str, Any],
        names: Texts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
    ) -> t.Created:
        """Make an image of a configuration alone, without layers."""
    async def tag(
        self, name: str, tags: Texts, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Give names to an image or list; a name that another bears is taken from it."""
    async def untag(
        self, name: str, tags: Texts = (), *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Tagged:
        """Take names from an image or list, or all of them; it stays."""
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
        """Remove names, and images with their last one; one failure hinders no other."""
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
        """Remove images that nothing needs, or tell which and why; one failure hinders no other."""

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
        """All layers, in the order of the store."""
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
        """All layers, in the order of the store."""
    @overload
    def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.LayerDetails:
        """One layer, its chain to the base, and its child layers."""
    @overload
    def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.LayerDetails | t.Unchanged:
        """One layer, its chain to the base, and its child layers."""
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
        """The layer forest, or the tree above one layer, parents first."""
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
        """The layer forest, or the tree above one layer, parents first."""

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
        """All layers, in the order of the store."""
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
        """All layers, in the order of the store."""
    @overload
    async def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.LayerDetails:
        """One layer, its chain to the base, and its child layers."""
    @overload
    async def get(
        self, id: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.LayerDetails | t.Unchanged:
        """One layer, its chain to the base, and its child layers."""
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
        """The layer forest, or the tree above one layer, parents first."""
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
        """The layer forest, or the tree above one layer, parents first."""

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
        """All local manifest lists, with instances and annotations on request."""
    @overload
    def list(
        self,
        include: Parts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ManifestLists | t.Unchanged:
        """All local manifest lists, with instances and annotations on request."""
    @overload
    def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ManifestDetails:
        """One manifest list and the JSON of its manifest."""
    @overload
    def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ManifestDetails | t.Unchanged:
        """One manifest list and the JSON of its manifest."""
    @overload
    def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Exists:
        """Whether a name means a manifest list."""
    @overload
    def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Exists | t.Unchanged:
        """Whether a name means a manifest list."""
    @overload
    def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ReferencedDigests:
        """The digests that local lists name, and which lists name them."""
    @overload
    def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ReferencedDigests | t.Unchanged:
        """The digests that local lists name, and which lists name them."""
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
        """Make a manifest list of local images, all of them or nothing."""
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
        """Take an entry out of a manifest list; the image it names stays."""
    def remove(
        self,
        names: Texts,
        ignore: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove manifest lists, or one of their names; what fails is told and hinders no other."""

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
        """All local manifest lists, with instances and annotations on request."""
    @overload
    async def list(
        self,
        include: Parts = (),
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ManifestLists | t.Unchanged:
        """All local manifest lists, with instances and annotations on request."""
    @overload
    async def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ManifestDetails:
        """One manifest list and the JSON of its manifest."""
    @overload
    async def get(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ManifestDetails | t.Unchanged:
        """One manifest list and the JSON of its manifest."""
    @overload
    async def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Exists:
        """Whether a name means a manifest list."""
    @overload
    async def exists(
        self, name: str, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Exists | t.Unchanged:
        """Whether a name means a manifest list."""
    @overload
    async def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: None = None,
    ) -> t.ReferencedDigests:
        """The digests that local lists name, and which lists name them."""
    @overload
    async def referenced(
        self,
        digest: str | None = None,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        if_generation: str | None,
    ) -> t.ReferencedDigests | t.Unchanged:
        """The digests that local lists name, and which lists name them."""
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
        """Make a manifest list of local images, all of them or nothing."""
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
        """Take an entry out of a manifest list; the image it names stays."""
    async def remove(
        self,
        names: Texts,
        ignore: bool = False,
        *,
        consistency: Consistency = "fresh",
        timeout: float | None = None,
        progress: Listener | None = None,
    ) -> t.PruneReport:
        """Remove manifest lists, or one of their names; what fails is told and hinders no other."""

class Containers(Manager):
    @overload
    def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ContainerList:
        """Storage containers of every tool."""
    @overload
    def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ContainerList | t.Unchanged:
        """Storage containers of every tool."""

class AsyncContainers(Manager):
    @overload
    async def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.ContainerList:
        """Storage containers of every tool."""
    @overload
    async def list(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.ContainerList | t.Unchanged:
        """Storage containers of every tool."""

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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """What takes how much room: images, containers, volumes."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """What takes how much room: images, containers, volumes."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Look at the store again now."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Look at the store again now."""
    def lease(
        self, images: Texts, ttl: float = 600.0, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Lease:
        """Keep images from every prune and removal of this daemon, while the connection lasts."""
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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """What takes how much room: images, containers, volumes."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """What takes how much room: images, containers, volumes."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Look at the store again now."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Look at the store again now."""
    async def lease(
        self, images: Texts, ttl: float = 600.0, *, consistency: Consistency = "fresh", timeout: float | None = None
    ) -> t.Lease:
        """Keep images from every prune and removal of this daemon, while the connection lasts."""
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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """What takes how much room: images, containers, volumes."""
    @overload
    def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """What takes how much room: images, containers, volumes."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Look at the store again now."""
    @overload
    def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Look at the store again now."""

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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
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
        """Whether records and files agree: what is wrong, what it endangers, and what mends it."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.StoreUsage:
        """What takes how much room: images, containers, volumes."""
    @overload
    async def usage(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.StoreUsage | t.Unchanged:
        """What takes how much room: images, containers, volumes."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: None = None
    ) -> t.Empty:
        """Look at the store again now."""
    @overload
    async def refresh(
        self, *, consistency: Consistency = "fresh", timeout: float | None = None, if_generation: str | None
    ) -> t.Empty | t.Unchanged:
        """Look at the store again now."""
