"""The one map from errors of the floors below to errors of the contract: by name, evidence kept."""

from __future__ import annotations

from storaged import errors as below
from storaged_client.contract import errors as contract

_TABLE: dict[type[below.StoreError], type[contract.StoragedError]] = {
    below.ImageUnknown: contract.ImageUnknown,
    below.AmbiguousName: contract.AmbiguousName,
    below.InvalidName: contract.InvalidName,
    below.LayerUnknown: contract.LayerUnknown,
    below.ManifestListUnknown: contract.ManifestListUnknown,
    below.NotAManifestList: contract.NotAManifestList,
    below.DataUnknown: contract.DataUnknown,
    below.InstanceUnknown: contract.InstanceUnknown,
    below.NameInUse: contract.NameInUse,
    below.TooLarge: contract.TooLarge,
    below.ImageDamaged: contract.ImageDamaged,
    below.InvalidParams: contract.InvalidParams,
    below.GenerationGone: contract.GenerationGone,
    below.Leased: contract.Leased,
    below.LeaseUnknown: contract.LeaseUnknown,
    below.TooManyRequests: contract.TooManyRequests,
    below.TagUnknown: contract.TagUnknown,
    below.MultipleNames: contract.MultipleNames,
    below.ReadOnlyImage: contract.ReadOnlyImage,
    below.PlanStale: contract.PlanStale,
    below.ImageInUse: contract.ImageInUse,
    below.StoreBusy: contract.StoreBusy,
    below.StoreCorrupt: contract.StoreCorrupt,
    below.StoreUnsupported: contract.StoreUnsupported,
    below.StoreReadOnly: contract.StoreReadOnly,
    below.NoSpace: contract.NoSpace,
}


def to_contract(error: below.StoreError) -> contract.StoragedError:
    """The contract's error of an error below; its evidence becomes ``data``, where ``name`` is the error's."""
    for cls in type(error).__mro__:
        if cls in _TABLE:
            known = _TABLE[cls]
            evidence = {**error.evidence, "name": known.__name__}
            if known is contract.InvalidParams and "path" in evidence:
                # As the contract's own checks write it: from the root of the parameters.
                evidence["path"] = f"$.{evidence['path']}"
            return known(error.text, evidence)
    return contract.InternalError(error.text, {**error.evidence, "name": "InternalError"})
