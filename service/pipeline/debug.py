"""What a person may look at afterwards: a few frames as they were and as they are, with the mask and the opacity."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from service.errors import EncodeFailed
from service.pipeline import contact_sheet
from service.pipeline.composite import shrink_rgb
from service.pipeline.contact_sheet import Sample
from service.pipeline.placement import Placement
from service.pipeline.video import Frame, VideoInfo

MOST_SAMPLES = 4


class Witness:
    """Watches the frames go by, keeps the middle ones of the longest placements, draws them at the end. Does nothing without a folder."""

    def __init__(self, placements: Sequence[Placement], info: VideoInfo, folder: Path | None) -> None:
        longest = sorted(placements, key=lambda p: p.first_frame - p.last_frame)[:MOST_SAMPLES] if folder else []
        self._wanted = {(p.first_frame + p.last_frame) // 2 for p in longest}
        self._placements = placements
        self._info = info
        self._folder = folder
        self._samples: list[Sample] = []

    def watch(self, marked: Frame, clean: Frame) -> None:
        """Keeps the frame if it is one of those wanted."""
        if marked.index not in self._wanted:
            return
        width, height = self._info.width, self._info.height
        mask, opacity = np.zeros((2, height, width), np.float32)
        for placement in self._placements:
            if placement.covers(marked.index):
                np.maximum(mask[placement.box.slices], placement.mask, out=mask[placement.box.slices])
                shown = placement.opacity * (placement.mask > 0.5)
                np.maximum(opacity[placement.box.slices], shown, out=opacity[placement.box.slices])
        before, after = (shrink_rgb(frame, self._info, width, height) for frame in (marked, clean))
        self._samples.append(Sample(marked.index, before, mask, opacity, after))

    def write(self) -> None:
        """Draws what was kept. Raises EncodeFailed where the folder cannot be written."""
        if self._folder is None or not self._samples:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            contact_sheet.write(self._samples, self._folder / contact_sheet.SHEET)
            contact_sheet.before_after(self._samples, self._folder / contact_sheet.BEFORE_AFTER)
        except OSError as error:
            raise EncodeFailed(f"the debug pictures cannot be written: {error.strerror}") from error
