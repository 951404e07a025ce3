"""Content Credentials and source types: kept from source to output, with the edit signed. c2pa's reader and PyAV are the oracles."""

import json
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from PIL import Image, PngImagePlugin

from service.certificate import service_signer
from service.errors import NotMedia, ParameterError
from service.pipeline.io import xmp
from service.pipeline.io.encode import copy_untouched
from service.pipeline.io.mute import mute
from service.pipeline.placement import Box, Placement
from service.pipeline.provenance.provenance import SOUND_REMOVED, Credentials, Edit, Provenance, mark_removed, read, sign_in_place
from service.pipeline.provenance.signer import PrivateKey, Signer
from service.settings import Settings
from service.source_type import IPTC, known_source_type, parse_source_type, short_name
from tests.unit.test_certificate import write_own
from tests.video.clips import Spec, make_clip, picture_rgb

TRAINED, CAPTURE = f"{IPTC}trainedAlgorithmicMedia", f"{IPTC}digitalCapture"
CLIP = Spec(width=64, height=48, audio="aac")
VIDEOS = (".mp4", ".mov", ".avi")
IMAGES = (".png", ".jpg", ".webp", ".avif")
PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{}</rdf:Description></rdf:RDF></x:xmpmeta>'
)
PACKET_WITH_TYPE = PACKET.format(f"<e:DigitalSourceType>{TRAINED}</e:DigitalSourceType>").encode()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    made = service_signer(Settings(data_dir=tmp_path_factory.mktemp("signer")))
    assert made is not None
    return made


def made(path: Path, variant: int = 0) -> Path:
    """A small video or image; variants differ in their pictures."""
    if path.suffix in IMAGES:
        Image.fromarray(picture_rgb(64, 48, variant)).save(path)
        return path
    codec, audio = ("mpeg4", "mp3") if path.suffix == ".avi" else ("libx264", "aac")
    return make_clip(path, replace(CLIP, codec=codec, audio=audio, pts=tuple(range(12 + variant))))


def pair(folder: Path, suffix: str) -> tuple[Path, Path]:
    """A source and an output made from it."""
    return made(folder / f"source{suffix}"), made(folder / f"target{suffix}", 1)


def mark() -> Edit:
    """The edit of a file from which a mark was removed."""
    mask = np.ones((8, 16), np.float32)
    placement = Placement(2, 9, Box(4, 6, 20, 14), mask, mask, np.ones((3, 8, 16), np.float32), 0.9)
    return mark_removed([placement])


def sign(source: Path, target: Path, signer: Signer, declared: str | None = None) -> Provenance:
    """Sign a target from which a mark was removed; it must succeed."""
    result = sign_in_place(source, target, [mark()], signer, declared)
    assert result.reason is None
    return result


def content_of(path: Path) -> Any:
    """What is in a file besides its credentials: pixels, or duration and packets of all streams."""
    if path.suffix in IMAGES:
        with Image.open(path) as image:
            return image.mode, image.convert("RGBA").tobytes()
    with av.open(path) as file:
        return file.duration, [(packet.stream_index, packet.pts, packet.dts, bytes(packet)) for packet in file.demux() if packet.size]


@pytest.fixture(scope="module")
def signed_source(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> bytes:
    """An MP4 with credentials that say that it was made by a trained model."""
    source, target = pair(tmp_path_factory.mktemp("signed_source"), ".mp4")
    sign(target, source, signer, declared=TRAINED)
    return source.read_bytes()


# Signed files.


@pytest.mark.parametrize("suffix", VIDEOS + IMAGES)
def test_the_edit_is_signed(tmp_path: Path, signer: Signer, suffix: str) -> None:
    source, target = pair(tmp_path, suffix)
    before = content_of(target)
    result = sign(source, target, signer)
    assert content_of(target) == before
    assert (result.signed_by, result.source_state, result.digital_source_type) == ("Cleanplate on this machine", "none", None)
    found = read(target)
    assert (found.state, found.valid, found.problems) == ("Valid", True, ("signingCredential.untrusted",))
    (manifest,) = found.manifests
    assert [action.name for action in manifest.actions] == ["c2pa.opened", "c2pa.edited"]
    assert manifest.actions[1].description == "visible mark removed"
    assert [(part.relationship, part.has_credentials) for part in manifest.ingredients] == [("parentOf", False)]
    assert manifest.signed_at is None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((source.name, target.name)), "nothing else is left"


def test_the_index_stays_first(tmp_path: Path, signer: Signer) -> None:
    source, target = pair(tmp_path, ".mp4")
    mute(target, quiet := tmp_path / "quiet.mp4")  # muxed like every output
    before = content_of(quiet)
    assert sign_in_place(source, quiet, [mark(), SOUND_REMOVED], signer).reason is None
    assert content_of(quiet) == before
    assert boxes(quiet).index(b"moov") < boxes(quiet).index(b"mdat")


def boxes(path: Path) -> list[bytes]:
    data, at, names = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        names.append(name)
        at += size
    assert at == len(data)
    return names


def test_regions_are_those_of_the_marks(tmp_path: Path, signer: Signer) -> None:
    source, target = pair(tmp_path, ".mp4")
    sign(source, target, signer)
    with c2pa.Reader(str(target)) as reader:
        store = json.loads(reader.json())
    assertions = store["manifests"][store["active_manifest"]]["assertions"]
    (actions,) = (part["data"]["actions"] for part in assertions if part["label"].startswith("c2pa.actions"))
    ((change,),) = (action["changes"] for action in actions if "changes" in action)
    spatial, frames = change["region"]
    assert spatial["shape"] | {"type": ""} == {
        "type": "",
        "unit": "pixel",
        "origin": {"x": 4, "y": 6},
        "width": 16,
        "height": 8,
    }
    assert frames["frame"] == {"start": 2, "end": 9}


KEYS: dict[str, Callable[[], PrivateKey]] = {
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_the_operators_certificate_signs(tmp_path: Path, algorithm: Any) -> None:
    key = KEYS[algorithm]()
    own = Signer(Path(write_own(tmp_path, key)["certificate"]).read_text(), key, algorithm)
    source, target = pair(tmp_path, ".png")
    assert sign(source, target, own).signed_by == own.name  # the library has verified the certificate by then


def test_a_target_that_cannot_be_signed_stays_as_it_was(tmp_path: Path, signer: Signer) -> None:
    source, target = pair(tmp_path, ".png")
    before = target.read_bytes()
    result = sign_in_place(source, target, [mark()], replace(signer, key=ec.generate_private_key(ec.SECP256R1())))
    assert result.signed_by is None
    assert "the output cannot be signed" in str(result.reason)
    assert target.read_bytes() == before


# The source's credentials.


def test_the_sources_credentials_are_in_the_output(tmp_path: Path, signer: Signer, signed_source: bytes) -> None:
    source, target = pair(tmp_path, ".mp4")
    source.write_bytes(signed_source)
    result = sign(source, target, signer, declared=CAPTURE)
    assert (result.source_state, result.digital_source_type, result.told_by) == ("Valid", TRAINED, "credentials")
    newest, older = read(target).manifests
    assert newest.ingredients[0].has_credentials
    assert [manifest.actions[0].digital_source_type for manifest in (newest, older)] == [TRAINED, TRAINED]
    assert older == read(source).manifests[0]


def test_invalid_credentials_are_kept_as_invalid(tmp_path: Path, signer: Signer, signed_source: bytes) -> None:
    source, target = pair(tmp_path, ".mp4")
    data = bytearray(signed_source)
    data[data.index(b"mdat") + 1000] ^= 1
    source.write_bytes(data)
    result = sign(source, target, signer)
    assert result.source_state == "Invalid"
    assert result.digital_source_type == TRAINED
    assert "assertion.bmffHash.mismatch" in result.source_problems
    found = read(target)
    assert found.valid
    assert "assertion.bmffHash.mismatch" in found.manifests[0].ingredients[0].problems


def test_unreadable_credentials_do_not_fail_the_job(tmp_path: Path, signer: Signer, signed_source: bytes) -> None:
    source, target = pair(tmp_path, ".mp4")
    data = bytearray(signed_source)
    place = data.index(b"jumb")
    data[place + 10 : place + 400] = bytes(390)
    source.write_bytes(data)
    result = sign(source, target, signer, declared=CAPTURE)
    assert (result.source_state, result.digital_source_type, result.told_by) == ("unreadable", CAPTURE, "account")
    assert result.source_problems
    assert [part.has_credentials for part in read(target).manifests[0].ingredients] == [False]


def test_remote_credentials_are_not_fetched(tmp_path: Path, signer: Signer) -> None:
    source, target = pair(tmp_path, ".jpg")
    callback = c2pa.Signer.from_callback(signer.sign, c2pa.C2paSigningAlg.ES256, signer.chain_pem, None)
    builder = c2pa.Builder({"claim_generator_info": [{"name": "someone"}]})
    builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CAPTURE)
    builder.set_no_embed()
    builder.set_remote_url("http://127.0.0.1:9/manifest.c2pa")
    with made(tmp_path / "plain.jpg").open("rb") as plain, source.open("w+b") as file:
        builder.sign(callback, "image/jpeg", plain, file)
    result = sign(source, target, signer)
    assert result.source_state == "unreadable"
    assert "stored elsewhere, and nothing is fetched" in result.source_problems[0]
    assert read(target).valid


@pytest.mark.parametrize("suffix", [".png", ".mp4"])
def test_the_source_type_is_read_from_metadata(tmp_path: Path, signer: Signer, suffix: str) -> None:
    source, target = pair(tmp_path, suffix)
    with_packet(source, PACKET_WITH_TYPE)
    result = sign(source, target, signer, declared=CAPTURE)
    assert (result.digital_source_type, result.told_by) == (TRAINED, "metadata")


def with_packet(path: Path, packet: bytes) -> None:
    """Write XMP into a file, as other programs do."""
    if path.suffix in (".mp4", ".mov"):
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + xmp.XMP_UUID + packet)
        return
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", packet.decode())
    with Image.open(path) as image:
        image.load()
    image.save(path, xmp=packet, pnginfo=texts)


# What is not signed.


def test_an_unedited_file_stays_as_it_was(tmp_path: Path, signer: Signer) -> None:
    source = made(tmp_path / "source.mp4")
    copy_untouched(source, target := tmp_path / "target.mp4")
    result = sign_in_place(source, target, [], signer)
    assert (result.signed_by, result.reason) == (None, "nothing was edited; the source's credentials are unchanged")
    assert target.read_bytes() == source.read_bytes()


def test_another_container_is_an_edit(tmp_path: Path, signer: Signer, signed_source: bytes) -> None:
    (source := tmp_path / "source.mp4").write_bytes(signed_source)
    copy_untouched(source, target := tmp_path / "target.mov")
    assert sign_in_place(source, target, [], signer).source_state == "Valid"
    newest, older = read(target).manifests
    assert [action.name for action in newest.actions] == ["c2pa.opened", "c2pa.repackaged"]
    assert older.actions[0].digital_source_type == TRAINED


def test_containers_without_credentials_are_not_signed(tmp_path: Path, signer: Signer) -> None:
    source = made(tmp_path / "source.mp4")
    target = made(tmp_path / "target.mkv")
    before = target.read_bytes()
    assert sign_in_place(source, target, [SOUND_REMOVED], signer).reason == ".mkv files carry no Content Credentials"
    assert sign_in_place(source, target, [SOUND_REMOVED], None).reason == "signing is switched off"
    assert target.read_bytes() == before
    assert read(target) == Credentials("none", problems=("mkv files carry no Content Credentials",))
    sign(target, source, signer)
    assert [part.has_credentials for part in read(source).manifests[0].ingredients] == [False]


def test_files_that_are_not_media_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video at all")
    for name in ("text.mp4", "missing.mp4"):
        with pytest.raises(NotMedia):
            read(tmp_path / name)
    assert read(made(tmp_path / "plain.png")) == Credentials("none")


# XMP.


@pytest.mark.parametrize(("first", "second"), [(".mp4", ".mov"), (".png", ".jpg"), (".jpg", ".png")])
def test_xmp_is_kept_from_format_to_format(tmp_path: Path, first: str, second: str) -> None:
    source = made(tmp_path / f"source{first}")
    with_packet(source, PACKET_WITH_TYPE)
    copy_untouched(source, target := tmp_path / f"target{second}")
    assert xmp.xmp_packet_of(target) == PACKET_WITH_TYPE
    if first == ".mp4":
        mute(source, quiet := tmp_path / "quiet.mp4")
        assert xmp.xmp_packet_of(quiet) == PACKET_WITH_TYPE
        with av.open(quiet) as file:
            assert [stream.type for stream in file.streams] == ["video"]


def test_a_long_packet_is_copied_and_not_read(tmp_path: Path) -> None:
    packet = PACKET_WITH_TYPE + b" " * (xmp.MAX_PACKET_BYTES + xmp.PIECE_BYTES)
    source = made(tmp_path / "source.mp4")
    with_packet(source, packet)
    copy_untouched(source, target := tmp_path / "target.mov")
    assert target.read_bytes().endswith(packet)
    (picture := made(tmp_path / "picture.webp")).write_bytes(webp_with(picture.read_bytes(), packet))
    assert xmp.xmp_packet_of(target) is xmp.xmp_packet_of(picture) is None


def test_nested_source_types_are_read_once() -> None:
    depth = 5_000
    inside = "<e:DigitalSourceType>x" * (depth - 1) + f"<e:DigitalSourceType>{TRAINED}" + "</e:DigitalSourceType>" * depth
    started = time.process_time()
    assert xmp.source_type_of(PACKET.format(inside).encode()) == TRAINED
    nested = time.process_time() - started
    assert nested < 1.0


def webp_with(webp: bytes, packet: bytes) -> bytes:
    with Image.open(BytesIO(webp)) as image:
        image.save(written := BytesIO(), "WEBP", xmp=packet)
    return written.getvalue()


def test_xmp_where_quicktime_stores_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    path.write_bytes(
        box(b"ftyp", b"qt  ") + box(b"mdat", b"x" * 50) + box(b"moov", box(b"mvhd", b"") + box(b"udta", box(b"XMP_", PACKET_WITH_TYPE)))
    )
    assert xmp.xmp_packet_of(path) == PACKET_WITH_TYPE


@pytest.mark.parametrize("tail", [b"", b"\0\0\0", b"\0\0\0\4free", b"\xff\xff\xff\xffmoov", b"\0\0\0\1uuid"])
def test_malformed_boxes_end_the_search(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(box(b"ftyp", b"isom") + tail)
    assert xmp.xmp_packet_of(path) is None


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (f"<e:DigitalSourceType>{TRAINED}</e:DigitalSourceType>", TRAINED),
        (f'<e:DigitalSourceType rdf:resource="{TRAINED.replace("http:", "https:")}"/>', TRAINED),
        ("<e:DigitalSourceType>http://example.com/trainedAlgorithmicMedia</e:DigitalSourceType>", None),
        ("<e:DigitalSourceType/>", None),
        ("<e:Other>x</e:Other>", None),
        ("<unclosed>", None),
    ],
)
def test_the_source_type_in_xmp(inside: str, expected: str | None) -> None:
    assert xmp.source_type_of(PACKET.format(inside).encode()) == expected


def test_xmp_with_entities_is_not_read() -> None:
    assert xmp.source_type_of(b'<!DOCTYPE x [<!ENTITY a "b">]>' + PACKET_WITH_TYPE) is None
    attribute = PACKET.replace("{}", "").replace("xmlns:e", f'e:DigitalSourceType="{CAPTURE}" xmlns:e')
    assert xmp.source_type_of(attribute.encode()) == CAPTURE


def test_source_types_have_addresses_and_short_names() -> None:
    assert parse_source_type("trainedalgorithmicmedia") == parse_source_type(TRAINED) == TRAINED
    assert short_name(TRAINED) == "trainedAlgorithmicMedia"
    assert known_source_type("http://c2pa.org/digitalsourcetype/trainedAlgorithmicData") is not None
    assert known_source_type("http://c2pa.org/digitalsourcetype/digitalCapture") is None
    with pytest.raises(ParameterError, match="'painted' is not an IPTC digital source type"):
        parse_source_type("painted")
