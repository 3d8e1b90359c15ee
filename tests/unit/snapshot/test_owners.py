import json

import pytest

from storaged.snapshot.owners import guess_owner
from storaged.store.layout.records import ContainerID, ContainerRecord

PODMAN = {"image-name": "localhost/a:1", "image-id": "ab", "name": "pc", "created-at": 1795507346}
CRIO = {"pod-name": "p", "pod-id": "ab", "image-name": "a", "name": "k8s_c", "metadata-name": "c", "created-at": 1}
LABELS = {"MountLabel": "", "ProcessLabel": ""}


@pytest.mark.parametrize(
    ("owner", "names", "metadata", "flags", "volatile"),
    [
        ("podman", ("pc",), json.dumps(PODMAN), LABELS, False),
        ("podman", ("pcrm",), json.dumps(PODMAN), {**LABELS, "Volatile": True}, True),
        ("buildah", ("other",), None, {**LABELS, "Volatile": True}, False),
        ("buildah", ("other",), None, LABELS, True),
        ("buildah", ("a-working-container",), None, None, False),
        ("cri-o", ("k8s_c",), json.dumps(CRIO), LABELS, False),
        ("unknown", ("csname",), None, LABELS, False),
        ("unknown", None, "not json", None, True),
        ("unknown", None, "[" * 5000, None, False),
        ("unknown", None, "[]", None, False),
    ],
)
def test_the_owner_is_guessed_from_what_tools_leave(owner, names, metadata, flags, volatile) -> None:
    record = ContainerRecord(id=ContainerID("c" * 64), names=names, metadata=metadata, flags=flags)
    assert guess_owner(record, volatile=volatile) == owner
