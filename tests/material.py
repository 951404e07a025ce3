"""Small training material: one font that comes with a library, and smooth moving pictures."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np

from training import vocabulary
from training.clips import Clip, Frames
from training.scenes import Source
from training.vocabulary import Vocabulary

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def small_vocabulary() -> Vocabulary:
    """The shipped texts, all in one font."""
    return Vocabulary(vocabulary.WORDS, vocabulary.CHINESE, vocabulary.SENTENCES, vocabulary.CHINESE_SENTENCES, (FONT,), (FONT,))


def moving_picture(seed: int, frames: int, height: int = 144, width: int = 192) -> Frames:
    """(T, H, W, 3) uint8: a window that glides over random blots."""
    rng = np.random.default_rng(seed)
    blots = cv2.GaussianBlur(rng.uniform(0, 255, (height + 2 * frames, width + 3 * frames, 3)).astype(np.float32), (0, 0), 5)
    blots = (blots - blots.min()) / (blots.max() - blots.min()) * 255
    return np.stack([blots[2 * i : 2 * i + height, 3 * i : 3 * i + width] for i in range(frames)]).astype(np.uint8)


def small_source(seed: int = 1) -> Source:
    """Two clips and a photo."""
    clips = (Clip("one", moving_picture(1, 24)), Clip("two", moving_picture(2, 16)), Clip("photo", moving_picture(3, 1)))
    return Source(clips, small_vocabulary(), seed)
