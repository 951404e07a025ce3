"""The cases of the evaluation: one mark of one kind drawn on one clip or photo, encoded as people would meet it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.given import DETECTED, KEYFRAMED, Given, given
from benchmarks.marks import EVALUATION_KINDS, IN_BAR, MOVING_KINDS, STANDING_KINDS, bar_lines
from benchmarks.media import Clip, Picture, is_photo, pictures_of, read_clip, read_photo, write_photo, write_video
from training.metrics import MARKED, Mask
from training.patches import Canvas
from training.vocabulary import Vocabulary
from training.watermarks import Mark, Patch, apply, draw, placed

MARKED_KINDS = ("moving", "moving_name", "corner", "faint", "tiled", "subtitle", "subtitle_chinese", *EVALUATION_KINDS)
CLEAN = "clean"  # no mark: nothing may be found
KINDS = (*MARKED_KINDS, CLEAN)
PHOTO_KINDS = ("moving", "corner", "faint", "tiled", *STANDING_KINDS, CLEAN)  # a moving mark as its first frame has it
# At one place at a time, so that one region is enough for each.
GIVEN_KINDS = ("moving", "corner", "faint", "subtitle", "subtitle_chinese", *STANDING_KINDS, "clock", IN_BAR)
SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi")
OPAQUE = 0.95  # above it a mark lets too little through to be un-blended
LEAST_OF_HEIGHT = 0.85  # clips are not scaled up, so a smaller one says nothing of that height; one of 320 lines has always counted as 360


@dataclass(frozen=True)
class Case:
    """One line of the results. `clip`: name of a clip or photo. `height`: the short side at most, in pixels. `split`: eval or test.

    `given`: the region that a person gives (see `benchmarks.given`), and then nothing is looked for unless the region says so; or "".
    """

    clip: str
    kind: str
    frames: int = 90
    height: int = 720
    split: str = field(default="eval", kw_only=True)
    given: str = field(default="", kw_only=True)

    @property
    def seed(self) -> int:
        """The same mark for the same clip and kind, whichever cases run."""
        return int.from_bytes(hashlib.sha256(f"{self.clip}/{self.kind}".encode()).digest()[:8], "big")

    @property
    def is_photo(self) -> bool:
        return is_photo(Path(self.clip))

    def __str__(self) -> str:
        return f"{self.clip} {self.kind}" + (f" ({self.given} given)" if self.given else "")


@dataclass(frozen=True)
class Scene:
    """A case made real: the clean pictures, the mark on them, and the marked file. `given`: what a person gives."""

    clean: Clip
    mark: Mark
    marked: Path
    given: Given | None = None

    @property
    def frames(self) -> int:
        return len(self.clean.pictures)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.clean.height, self.clean.width

    def alphas(self) -> Iterator[NDArray[np.float32]]:
        """Opacity of the mark over the whole picture, frame by frame: (H, W) in [0, 1]; the same array while nothing changes."""
        previous, alpha = None, np.zeros(self.size, np.float32)
        for patch in self.mark.patches:
            if patch is not previous:
                previous, alpha = patch, placed(patch, *self.size, 0, 0)[0]
            yield alpha

    def regions(self) -> Iterator[Mask]:
        """The pixels (H, W) that a person gives, frame by frame; none where nothing is given."""
        given = self.given or Given()
        return (given.region(self.size, seconds) for seconds in self.clean.timing.seconds)

    def pictures(self) -> Iterator[Picture]:
        """The decoded pictures of the marked file."""
        return pictures_of(self.marked)

    @property
    def has_mark(self) -> bool:
        return any(patch is not None for patch in self.mark.patches)

    @property
    def translucent(self) -> bool:
        """Whether the opacity stays below 0.95 everywhere, so that something survives under the mark."""
        return self.has_mark and max(float(patch.alpha.max()) for patch in self.distinct_patches()) < OPAQUE

    def distinct_patches(self) -> Sequence[Patch]:
        return list({id(patch): patch for patch in self.mark.patches if patch is not None}.values())

    def ever_marked(self) -> NDArray[np.bool_]:
        """(H, W) pixels that the mark touches at any time of the clip, however faintly."""
        touched = np.zeros(self.size, bool)
        for patch in self.distinct_patches():
            touched |= placed(patch, *self.size, 0, 0)[0] > 0
        return touched


def find_cases(
    folder: Path, clips: Sequence[str], kinds: Sequence[str], frames: int, height: int, split: str = "eval", given: Sequence[str] = ("",)
) -> list[Case]:
    """Every clip of `folder` (or `folder/clips`) with every kind, and every photo of `folder/photos` with every kind of photos.

    `clips` and `kinds` narrow the choice, clips and photos by a part of their name. `given`: the regions; a box with keyframes is for kinds
    that move, the others for those at one place. Raises ValueError for an unknown kind or when nothing fits.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"unknown kind {', '.join(sorted(unknown))}; known are {', '.join(KINDS)}")
    paths = [path for path in (*clip_paths(folder), *photo_paths(folder)) if not clips or any(part in path.name for part in clips)]
    if not paths:
        raise ValueError("no clip and no photo of that name in the folder")
    cases = [case for path in paths for case in _cases_on(path, frames, height, split) if not kinds or case.kind in kinds]
    return [replace(case, given=region) for region in given for case in cases if not region or case.kind in kinds_given(region)]


def kinds_given(region: str) -> Sequence[str]:
    """The kinds of mark that a person points at with this region."""
    return ("moving", *MOVING_KINDS) if region.removesuffix(DETECTED) == KEYFRAMED else GIVEN_KINDS


def _cases_on(path: Path, frames: int, height: int, split: str) -> list[Case]:
    if is_photo(path):
        return [Case(path.name, kind, 1, height, split=split) for kind in PHOTO_KINDS]
    return [Case(path.name, kind, frames, height, split=split) for kind in KINDS]


def too_small(cases: Sequence[Case], folder: Path) -> list[str]:
    """Names of the clips and photos whose short side is under 85 % of the height at which a case asks for them."""
    heights = {case.clip: case.height for case in cases}
    paths = [path for path in (*clip_paths(folder), *photo_paths(folder)) if path.name in heights]
    return [path.name for path in paths if short_side(path) < LEAST_OF_HEIGHT * heights[path.name]]


def short_side(path: Path) -> int:
    """Of the pictures of a clip or of a photo, in pixels."""
    if is_photo(path):
        with Image.open(path) as photo:
            return min(photo.size)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return min(stream.width, stream.height)


def thinned(cases: Sequence[Case], every: int) -> list[Case]:
    """One in `every` cases, such that all kinds and all clips take part."""
    if not cases:
        return []
    clips, kinds = (list(dict.fromkeys(names)) for names in zip(*((case.clip, case.kind) for case in cases), strict=True))
    return [case for case in cases if (clips.index(case.clip) + kinds.index(case.kind)) % every == 0]


def listed(text: str) -> list[str]:
    """The names of a list with commas, as options of the command line have them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def clip_paths(folder: Path) -> list[Path]:
    """The clips of a folder, or of its `clips` folder, by name."""
    inner = folder / "clips"
    return sorted(path for path in (inner if inner.is_dir() else folder).iterdir() if path.suffix.lower() in SUFFIXES)


def photo_paths(folder: Path) -> list[Path]:
    """The photos of a folder's `photos` folder, by name; none where it has no such folder."""
    inner = folder / "photos"
    return sorted(filter(is_photo, inner.iterdir())) if inner.is_dir() else []


def prepare(case: Case, folder: Path, vocabulary: Vocabulary, scratch: Path) -> Scene:
    """Draw the case's mark on its clip or photo and encode the marked file into `scratch`."""
    path = next(path for path in (*clip_paths(folder), *photo_paths(folder)) if path.name == case.clip)
    if case.is_photo:
        return _prepare_photo(case, path, vocabulary, scratch)
    clean = read_clip(path, case.frames, case.height)
    if case.kind == IN_BAR:
        clean = replace(clean, pictures=np.where(bars(clean.height)[:, None, None], np.uint8(0), clean.pictures))
    mark = _mark(case, clean, vocabulary)
    marked = scratch / f"{path.stem}_{case.kind}{case.given}.mp4"
    pictures = (apply(picture, patch) for picture, patch in zip(clean.pictures, mark.patches, strict=True))
    write_video(marked, pictures, (clean.width, clean.height), clean.timing, audio_of=path)
    return _pointed_at(Scene(clean, mark, marked), case)


def bars(height: int) -> NDArray[np.bool_]:
    """(H,) the lines of a letterboxed picture that are black."""
    lines = np.arange(height)
    return (lines < bar_lines(height)) | (lines >= height - bar_lines(height))


def _prepare_photo(case: Case, path: Path, vocabulary: Vocabulary, scratch: Path) -> Scene:
    """The marked file is a PNG or a JPEG, one for each half of the cases."""
    clean = read_photo(path, case.height)
    drawn = None
    if case.kind != CLEAN:  # of two frames, as a moving mark may be away in one
        drawn = next(patch for patch in _drawn(case, clean, 2, vocabulary).patches if patch is not None)
    marked = scratch / f"{path.stem}_{case.kind}{case.given}{('.png', '.jpg')[case.seed % 2]}"
    write_photo(marked, apply(clean.pictures[0], drawn))
    return _pointed_at(Scene(clean, Mark(case.kind, (drawn,)), marked), case)


def _pointed_at(scene: Scene, case: Case) -> Scene:
    """The scene with what the case gives."""
    if not case.given:
        return scene
    return replace(scene, given=given(case.given, [alpha > MARKED for alpha in scene.alphas()], scene.clean.timing.seconds))


def _mark(case: Case, clean: Clip, vocabulary: Vocabulary) -> Mark:
    frames = len(clean.pictures)
    if case.kind == CLEAN:
        return Mark(CLEAN, (None,) * frames)
    return _drawn(case, clean, frames, vocabulary)


def _drawn(case: Case, clean: Clip, frames: int, vocabulary: Vocabulary) -> Mark:
    rng = np.random.default_rng(case.seed)
    if case.kind in EVALUATION_KINDS:
        shown = EVALUATION_KINDS[case.kind](rng, Canvas(clean.width, clean.height, frames, vocabulary))
        return Mark(case.kind, shown.patches, shown.intervals)
    return draw(case.kind, rng, clean.width, clean.height, frames, vocabulary)
