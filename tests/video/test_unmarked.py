"""A file in which no mark is found comes back byte by byte, whatever its container, and whatever it carries."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.inference import fake
from service.pipeline.request import Request
from service.pipeline.run import clean
from tests.conftest import Command
from tests.formats.films import Film, Sound
from tests.formats.in_process import in_process
from tests.video.clips import picture_rgb

BLIND = fake.networks(blind=True)


def film(**options: object) -> Callable[[Path], object]:
    return Film(**options).write  # type: ignore[arg-type]  # its own fields, by name


def picture(path: Path) -> None:
    shown = Image.fromarray(np.ascontiguousarray(picture_rgb(64, 48, 0)))
    shown.save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", icc_profile=b"a profile of one's own")


FILES: dict[str, Callable[[Path], object]] = {
    "a.mp4": film(sounds=(Sound("aac"),), pts=(0, 1, 3, 4, 9, 10)),
    "fragmented.mp4": film(muxer_options={"movflags": "frag_keyframe+empty_moov"}),
    "interlaced.mp4": film(options={"flags": "+ildct+ilme"}),
    "a.m4v": film(muxer="mp4"),
    "a.3gp": film(),
    "a.mov": film(codec="prores_ks", pixel_format="yuv422p10le", sounds=(Sound("pcm_s16le"),)),
    "a.mkv": film(codec="libx265", sounds=(Sound("flac"),), texts=(("hdmv_pgs_subtitle", "one two"),)),
    "a.webm": film(codec="libvpx-vp9", sounds=(Sound("libopus"),)),
    "a.avi": film(codec="mpeg4", sounds=(Sound("mp3"),)),
    "a.png": picture,
    "a.jpg": picture,
    "a.jfif": lambda path: Image.fromarray(picture_rgb(64, 48, 0)).save(path, "JPEG"),
    "a.webp": picture,
    "a.avif": lambda path: Image.fromarray(picture_rgb(64, 48, 0)).save(path, "AVIF"),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_the_same_file(name: str, tmp_path: Path) -> None:
    FILES[name](source := tmp_path / name)
    with in_process():
        report = clean(source, target := tmp_path / f"clean-{name}", Request(), BLIND)
    assert not report.mark_found
    assert target.read_bytes() == source.read_bytes()
    assert report.not_kept == ()


def test_the_command_copies_it_too(cleanplate: Command, tmp_path: Path) -> None:
    """Nothing may be changed, so no mark is removed, whatever the networks take for one."""
    for name, write in FILES.items():
        write(tmp_path / name)
    done = cleanplate("clean", *(tmp_path / name for name in FILES), "-o", tmp_path / "clean", "--keep", "0,0,1,1", CLEANPLATE_DEVICE="cpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert {name: (tmp_path / "clean" / name).read_bytes() for name in FILES} == {name: (tmp_path / name).read_bytes() for name in FILES}
