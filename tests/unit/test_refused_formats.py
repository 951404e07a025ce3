"""Pictures that are not read are refused by name and with a hint, and targets that cannot hold a picture before any work is done."""

from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from service.errors import RequestError, UnsupportedFormat
from service.inference.session import Networks
from service.media import container_of, suffix_of_head
from service.pipeline.io.probe import probe
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Limits

NO_NETWORKS = cast(Networks, None)  # any step would fail


def encoded(name: str, *, frames: int = 1, **options: object) -> bytes:
    pictures = [Image.fromarray(np.full((32, 48, 3), 40 * index, np.uint8)) for index in range(frames)]
    several = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(data := BytesIO(), name, **several, **options)
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded("GIF"), "GIF files are not supported .*; save it as mp4"),
        (encoded("GIF", frames=2), "GIF files are not supported .*; save it as mp4"),
        (encoded("TIFF"), "TIFF files are not supported .*; save it as png"),
        (encoded("BMP"), "BMP files are not supported .*; save it as png"),
        (encoded("AVIF", frames=2), "AVIF sequence files are not supported .*; save it as mp4"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC files are not supported .*; save it as jpg or png"),
        (encoded("WEBP", frames=2), "an animated WebP picture is not supported; save it as mp4"),
        (encoded("PNG", frames=2), "an animated PNG picture is not supported; save it as mp4"),
    ],
)
def test_a_format_is_refused_by_its_first_bytes(tmp_path: Path, data: bytes, message: str) -> None:
    """So the command and the service refuse it alike, the service before it takes the file."""
    (path := tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnsupportedFormat, match=message):
        container_of(path)
    with pytest.raises(UnsupportedFormat, match=message):
        suffix_of_head(data[:256])


def test_an_animation_that_its_first_bytes_do_not_show(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "x" * 500)
    data = encoded("PNG", frames=2, pnginfo=texts)
    at = data.index(b"acTL") - 4
    text = data.index(b"tEXt") - 4
    moved = data[:at] + data[text : text + 12 + 508] + data[at:text] + data[text + 12 + 508 :]
    (path := tmp_path / "a.png").write_bytes(moved)
    assert moved.index(b"acTL") > 256
    with pytest.raises(UnsupportedFormat, match="an animated PNG picture is not supported; save it as mp4"):
        probe(path, Limits())


@pytest.mark.parametrize(
    ("options", "target", "message"),
    [
        ({}, "b.gif", "cannot be written as .gif; choose from"),
        ({"transparency": (0, 0, 0)}, "b.jpg", "transparency; choose .png or .webp"),
    ],
)
def test_a_target_is_refused_before_the_first_step(tmp_path: Path, options: dict[str, object], target: str, message: str) -> None:
    (source := tmp_path / "a.png").write_bytes(encoded("PNG", **options))
    with pytest.raises(RequestError, match=message):
        clean(source, tmp_path / target, Request(), NO_NETWORKS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
