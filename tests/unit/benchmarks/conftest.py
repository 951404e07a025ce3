"""Small clips, marks and fonts for the tests of the benchmarks."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest

from benchmarks.cases import Case, Scene, prepare
from benchmarks.media import Timing, write_photo, write_video
from training.vocabulary import Vocabulary

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # comes with a package, so every machine has it
SIZE = (192, 128)
FRAMES = 8


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """A few texts in one font."""
    return Vocabulary(("Word", "Mark"), ("Sign",), ("A line of text",), ("Another line",), (FONT,), (FONT,))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two clips: `smooth.mp4`, and `drifting.mp4` with sound."""
    folder = tmp_path_factory.mktemp("clips")
    wide = texture(SIZE[0] + 2 * (FRAMES + 4))
    drifting = [wide[:, 2 * i : 2 * i + SIZE[0]] for i in range(FRAMES + 4)]
    timing = Timing([i * 512 for i in range(FRAMES + 4)], Fraction(1, 12800), Fraction(25))
    sound = folder / "sound.mka"
    write_sound(sound)
    write_video(folder / "drifting.mp4", drifting, SIZE, timing, audio_of=sound)
    write_video(folder / "smooth.mp4", [np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)] * FRAMES, SIZE, timing)
    sound.unlink()
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without clips and with two photos, `rough.png` and `grey.jpg`."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "photos").mkdir()
    write_photo(folder / "photos" / "rough.png", texture(SIZE[0]))
    write_photo(folder / "photos" / "grey.jpg", np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    return folder


def texture(width: int) -> np.ndarray:
    """(H, width, 3) uint8: a soft random texture."""
    noise = np.random.default_rng(3).normal(0, 300, (SIZE[1], width, 3))
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 3) + 110, 0, 255).astype(np.uint8)


def write_sound(path: Path) -> None:
    """Write a second of a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 16000, 1024):
            tone = np.sin(np.arange(start, start + 1024) / 20, dtype=np.float32)[None] * np.float32(0.3)
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def scene(clips: Path, vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Scene]:
    """`scene("drifting", "faint")`: the scene of that case, prepared once per session."""
    made: dict[tuple[str, str], Scene] = {}

    def make(clip: str, kind: str) -> Scene:
        if (clip, kind) not in made:
            case = Case(f"{clip}.mp4", kind, FRAMES, 128)
            made[clip, kind] = prepare(case, clips, vocabulary, tmp_path_factory.mktemp("scene"))
        return made[clip, kind]

    return make
