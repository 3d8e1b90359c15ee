"""Texts of images that outlive a snapshot, as long as the images stay what they are."""

from __future__ import annotations

import anyio
import pytest

from storaged.engine.image_texts import ImageTexts
from storaged.snapshot.model import Image
from tests.support.ground import Ground


@pytest.mark.anyio
async def test_what_was_kept_of_an_image_serves_until_it_changes(ground: Ground) -> None:
    async with ground.running():
        view = await ground.cache.view()
        first, second = view.snapshot.images[:2]
        view.rows.texts.keep("row", first, b"1")
        view.rows.texts.keep("row", second, b"2")
        await _rename(ground, first.id)
        after = await ground.cache.view()
        assert after.snapshot is not view.snapshot
        assert after.rows.texts.find("row", after.snapshot.by_id[first.id]) is None
        assert after.rows.texts.find("row", after.snapshot.by_id[second.id]) == b"2"


async def _rename(ground: Ground, image: str) -> None:
    await anyio.to_thread.run_sync(ground.writer.set_names, image, ["localhost/other:1"])


def test_the_text_that_nobody_asked_for_longest_goes_first() -> None:
    texts = ImageTexts(room=3000)
    images = [object.__new__(Image) for _ in range(3)]
    for number, image in enumerate(images[:2]):
        texts.keep("row", image, bytes([number]) * 1000)
    texts.find("row", images[0])
    texts.keep("row", images[2], bytes(1000))
    assert [texts.find("row", image) is None for image in images] == [False, True, False]
    texts.keep("row", images[2], bytes(100))
    texts.keep("row", images[1], bytes(500))
    assert texts.find("row", images[0]) is not None
