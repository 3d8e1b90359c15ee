"""The results of the protocol, as frozen values.

Times are aware datetimes that keep the store's own text, sizes are bytes, ids are opaque strings (64 hexadecimal digits
today; algorithms other than sha256 will differ), digests have a prefix. ``None`` means "not known" or "not set", never
zero. A result has a ``generation``: one consistent state of the store. ``stale`` is ``None`` if the store's files are
those of that generation.
"""

from ..value import Timestamp as Timestamp
from .base import JSON as JSON
from .base import Damage as Damage
from .base import Empty as Empty
from .base import ErrorObject as ErrorObject
from .base import Holder as Holder
from .base import Result as Result
from .base import Stale as Stale
from .base import Unchanged as Unchanged
from .changes import Created as Created
from .changes import Failed as Failed
from .changes import Going as Going
from .changes import GoingCode as GoingCode
from .changes import Kept as Kept
from .changes import Lease as Lease
from .changes import ListEdited as ListEdited
from .changes import Moved as Moved
from .changes import PruneReport as PruneReport
from .changes import Removed as Removed
from .changes import Tagged as Tagged
from .changes import Untagged as Untagged
from .images import BigData as BigData
from .images import Data as Data
from .images import Exists as Exists
from .images import HistoryEntry as HistoryEntry
from .images import HistoryRow as HistoryRow
from .images import ImageDetails as ImageDetails
from .images import ImageDetailsList as ImageDetailsList
from .images import ImageHistory as ImageHistory
from .images import ImageList as ImageList
from .images import ImageLookup as ImageLookup
from .images import ImageSummary as ImageSummary
from .images import ImageTree as ImageTree
from .images import Reason as Reason
from .images import ReasonCode as ReasonCode
from .images import Relations as Relations
from .images import Resolved as Resolved
from .images import TreeImage as TreeImage
from .images import TreeLayer as TreeLayer
from .images import Why as Why
from .layers import LayerDetails as LayerDetails
from .layers import LayerList as LayerList
from .layers import LayerSummary as LayerSummary
from .manifests import Instance as Instance
from .manifests import ManifestDetails as ManifestDetails
from .manifests import ManifestLists as ManifestLists
from .manifests import ManifestListSummary as ManifestListSummary
from .manifests import Platform as Platform
from .manifests import ReferencedDigest as ReferencedDigest
from .manifests import ReferencedDigests as ReferencedDigests
from .server import Histogram as Histogram
from .server import LockStats as LockStats
from .server import MethodStats as MethodStats
from .server import ServerInfo as ServerInfo
from .server import ServerStats as ServerStats
from .store import CheckReport as CheckReport
from .store import ContainerList as ContainerList
from .store import ContainerSummary as ContainerSummary
from .store import ContainerUsage as ContainerUsage
from .store import Finding as Finding
from .store import Flaw as Flaw
from .store import ImageUsage as ImageUsage
from .store import StoreUsage as StoreUsage
from .store import VolumeUsage as VolumeUsage

__all__ = [name for name in dir() if name[:1].isupper()]  # for help(): it shows what is named here
