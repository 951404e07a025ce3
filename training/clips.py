"""Clean clips and photos on which marks are drawn, decoded once into memory-mapped files for random access.

Clips are read with decord, or with PyAV where decord's FFmpeg is too old. A virtual camera turns photos into clips (`camera.py`).
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from training.camera import Camera, filmed

LONG_SIDE_PIXELS = 1920  # larger clips are scaled down to this before they are cached
FRAMES_PER_CLIP = 96

CLIP_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi"}
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB


@dataclass(frozen=True)
class Clip:
    """Consecutive clean frames: (T, H, W, 3) uint8 RGB, memory-mapped. `scale`: by which every window is resized when it is cut."""

    name: str
    frames: Frames = field(repr=False)
    scale: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, scaled."""
        height, width = self.frames.shape[1:3]
        return round(height * self.scale), round(width * self.scale)

    @property
    def is_photo(self) -> bool:
        return len(self.frames) == 1

    def at_lines(self, lines: int) -> "Clip":
        """The clip with `lines` pixels along its short side. A photo is scaled at once."""
        scale = lines / min(self.frames.shape[1:3])
        if not self.is_photo:
            return replace(self, scale=scale)
        height, width = (round(extent * scale) for extent in self.frames.shape[1:3])
        return Clip(self.name, _resized(self.frames[0], height, width)[None])


def load(folder: Path, cache: Path) -> tuple[Clip, ...]:
    """Every clip and photo under the folder, sorted by path and decoded once into `cache`. Raises FileNotFoundError if there are none."""
    cache.mkdir(parents=True, exist_ok=True)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in CLIP_SUFFIXES | PHOTO_SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"no clips and no photos under {folder.name}")
    return tuple(Clip(path.name, _cached(path, cache)) for path in paths)


def _cached(path: Path, cache: Path) -> Frames:
    key = hashlib.sha256(f"{path.name} {path.stat().st_size} {LONG_SIDE_PIXELS} {FRAMES_PER_CLIP}".encode()).hexdigest()[:16]
    cached = cache / f"{key}.npy"
    if not cached.exists():
        frames = _photo(path) if path.suffix.lower() in PHOTO_SUFFIXES else _video(path)
        with (unfinished := cached.with_suffix(".part")).open("wb") as file:
            np.save(file, frames)
        unfinished.rename(cached)
    return np.load(cached, mmap_mode="r")


def _photo(path: Path) -> Frames:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"not a picture: {path.name}")
    return _fitted(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))[None]


def _video(path: Path) -> Frames:
    """The middle of the video: openings are often black or show titles."""
    try:
        return _video_decord(path)
    except (RuntimeError, OSError, ImportError):
        with av.open(str(path)) as container:
            frames = []
            for frame in container.decode(video=0):
                frames.append(_fitted(frame.to_ndarray(format="rgb24")))
                if len(frames) == FRAMES_PER_CLIP:
                    break
        return np.stack(frames)


def _video_decord(path: Path) -> Frames:
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    first = max(0, (len(reader) - FRAMES_PER_CLIP) // 2)
    picked = range(first, min(len(reader), first + FRAMES_PER_CLIP))
    return np.stack([_fitted(reader[i].asnumpy()) for i in picked])


def _fitted(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = LONG_SIDE_PIXELS / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    return cv2.resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Window:
    """A piece of a clip: frame indices, and a rectangle in pixels."""

    indices: tuple[int, ...]
    top: int
    left: int
    height: int
    width: int


def cut(clip: Clip, window: Window, camera: Camera) -> Frames:
    """Cut the window (T, height, width, 3) from the clip; a photo is filmed by the camera."""
    if clip.is_photo:
        return filmed(clip.frames[0], camera, window.indices, (window.top, window.left, window.height, window.width))
    rows, columns = (_native(*span, clip.scale) for span in ((window.top, window.height), (window.left, window.width)))
    pictures = [clip.frames[i, rows, columns] for i in window.indices]
    return np.stack(pictures if clip.scale == 1 else [_resized(picture, window.height, window.width) for picture in pictures])


def _native(start: int, length: int, scale: float) -> slice:
    """The rows or columns of the unscaled picture that make up a span of the scaled one."""
    return slice(int(start / scale), max(int(start / scale) + 1, round((start + length) / scale)))


def _resized(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    smaller = height < rgb.shape[0]
    return cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
