"""Whether people could still read a mark: a text recogniser looks at the place where the mark is, in some of the frames."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Scene
from benchmarks.media import Picture
from service.pipeline.placement import Box, bounding_box
from training.metrics import MARKED

Reader = Callable[[Picture], Sequence[str]]  # the lines of text in a picture (h, w, 3), from top to bottom

READ_EVERY_FRAMES = 15
AROUND_PIXELS = 16  # of picture around a mark that the recogniser sees as well
LEAST_HEIGHT_PIXELS = 96  # of what the recogniser sees: smaller pieces are enlarged, or it misses their text
MOST_OF_HEIGHT = 0.5  # of the picture: of a taller mark its middle is read, which is enough of one that repeats over the picture
READ_LIKENESS = 0.6  # of a mark's letters, from which on it counts as read


@dataclass(frozen=True)
class Readable:
    """Shares of the frames looked at in which the mark's text is read: in the marked file, and in the cleaned one."""

    marked: float
    cleaned: float


def text_recogniser() -> Reader:
    """RapidOCR with the weights of its package, which know Latin and Chinese script. Raises ImportError where it is not installed."""
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    sizes = {"Det.limit_type": "max", "Det.limit_side_len": 640}  # by default a small piece is enlarged to 736 lines, which takes seconds
    engine = RapidOCR(params={"Global.log_level": "error", "Global.use_cls": False, **sizes, **threads})
    return lambda picture: engine(np.ascontiguousarray(picture[..., ::-1])).txts or ()


def readable(cleaned: Iterable[Picture], scene: Scene, read: Reader) -> Readable | None:
    """Read every 15th frame in which the mark has a text. None where there is none, as of a mark without words.

    A text that is read in the clean picture is not the mark's, and does not count.
    """
    counted = [0, 0]
    frames = 0
    shown = zip(scene.pictures(), cleaned, scene.clean.pictures, scene.mark.patches, scene.alphas(), strict=True)
    for index, (before, after, truth, patch, alpha) in enumerate(shown):
        if index % READ_EVERY_FRAMES or patch is None or not patch.text or not (alpha > MARKED).any():
            continue
        box = _place(alpha)
        frames += 1
        for number, picture in enumerate((before, after)):
            counted[number] += _shows(picture, box, patch.text, read) and not _shows(truth, box, patch.text, read)
    return Readable(counted[0] / frames, counted[1] / frames) if frames else None


def likeness(text: str, read: str) -> float:
    """How much of a text is found in what was read, in [0, 1], by letters and digits alone, whatever their case.

    That is 1 - d / n: n is the number of its letters, and d the least number of letters to change, add or leave out so that the text is
    a piece of what was read. 0 for a text without letters.
    """
    wanted, there = _letters(text), _letters(read)
    if not wanted:
        return 0.0
    costs = np.zeros(len(there) + 1, int)  # of the letters so far, ending at each letter that was read; a piece may begin anywhere
    for letter in wanted:
        replaced = costs[:-1] + [letter != other for other in there]
        following = [int(costs[0]) + 1]
        for left_out, changed in zip(costs[1:], replaced, strict=True):
            following.append(min(int(left_out) + 1, int(changed), following[-1] + 1))
        costs = np.array(following)
    return 1 - int(costs.min()) / len(wanted)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _shows(picture: Picture, box: Box, text: str, read: Reader) -> bool:
    """Whether a line of the text is read in the box. The lines read are joined, as the recogniser may break one."""
    piece = picture[box.slices]
    factor = max(1.0, LEAST_HEIGHT_PIXELS / box.height)
    lines = "".join(read(cv2.resize(piece, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)))
    return any(likeness(line, lines) >= READ_LIKENESS for line in text.splitlines())


def _place(alpha: NDArray[np.float32]) -> Box:
    """The box around a mark (H, W), with some of the picture around it."""
    height, width = alpha.shape
    box = bounding_box(alpha > MARKED).expanded(AROUND_PIXELS, width, height)
    over = max(0, box.height - round(MOST_OF_HEIGHT * height))
    return Box(box.left, box.top + over // 2, box.right, box.bottom - (over - over // 2))
