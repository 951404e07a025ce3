"""Small pictures in any metadata are replaced in place, however it is damaged; XMP loses what it announces and nothing else."""

from io import BytesIO
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.pipeline.io import announcements
from service.pipeline.io.embedded import has_strips, places_of, renewed
from tests import photos

CLEAN = Image.fromarray(np.full((photos.HEIGHT, photos.WIDTH, 3), 90, np.uint8))
BLOCK = photos.exif(photos.small(), maker_note=b"note" + photos.small() + b"end")
EDITS = st.lists(st.tuples(st.integers(0, len(BLOCK) - 1), st.binary(min_size=1, max_size=4)), max_size=8)


@given(EDITS, st.integers(0, len(BLOCK)))
@settings(max_examples=60)
def test_damaged_metadata_keeps_its_length_and_shows_no_mark(edits: list[tuple[int, bytes]], end: int) -> None:
    block = bytearray(BLOCK)
    for at, data in edits:
        block[at : at + len(data)] = data
    damaged = bytes(block[: max(end, 300)])
    new = renewed(damaged, CLEAN)
    assert len(new) == len(damaged)
    assert not has_strips(new)
    for place in places_of(new):
        with Image.open(BytesIO(new[place.start : place.stop])) as picture:
            assert not photos.shows_mark(picture)


@given(st.binary(max_size=200))
def test_metadata_without_pictures_stays(data: bytes) -> None:
    if b"\xff\xd8\xff" not in data and data[:2] not in (b"II", b"MM"):
        assert renewed(data, CLEAN) == data


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20))
def test_other_properties_stay(text: str) -> None:
    packet = photos.xmp(("GainMap", "image/jpeg", 9), attributes='hdrgm:Version="1.0"').decode().replace("image/jpeg", "-", 1)
    description = '<dc:title xmlns:dc="http://purl.org/dc/elements/1.1/"/>'
    title = ElementTree.fromstring(description)
    title.text = text
    whole = packet.replace("</rdf:Description>", ElementTree.tostring(title, "unicode") + "</rdf:Description>").encode()
    edited = announcements.without_announcements(whole)
    assert edited is not None
    assert b"GainMap" not in edited
    assert b"hdrgm" not in edited
    tree = ElementTree.fromstring(edited)
    assert [element.text or "" for element in tree.iter("{http://purl.org/dc/elements/1.1/}title")] == [text]
    assert announcements.without_announcements(edited) == edited


def test_a_packet_that_cannot_be_edited_is_dropped() -> None:
    packet = photos.xmp(("GainMap", "image/jpeg", 9))
    assert announcements.without_announcements(packet[:-40]) is None
    assert announcements.without_announcements(packet.replace(b"<x:xmpmeta", b'<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta', 1)) is None
    assert announcements.without_announcements(b"<a>" * 5000 + packet + b"</a>" * 5000) is None
    assert announcements.without_announcements(packet.ljust(announcements.MAX_PACKET_BYTES + 1)) is None
