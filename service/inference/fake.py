"""Deterministic fake networks, for tests of the code around them: every bright pixel is a mark and becomes grey."""

from collections.abc import Sequence

import numpy as np

from models.spec import INPAINTER_ENCODER
from service.inference.batcher import Arrays, Batcher, Session
from service.inference.session import Networks

BRIGHT = 0.95


class FakeSegmenter(Session):
    """Overlay probability 1 where all three channels exceed BRIGHT."""

    def run(self, inputs: Arrays) -> Arrays:
        overlay = (inputs["frames"].min(2, keepdims=True) > BRIGHT).astype(np.float32)
        return {"probability": np.concatenate([overlay, np.zeros_like(overlay)], 2)}


class BlindSegmenter(Session):
    """Finds no mark."""

    def run(self, inputs: Arrays) -> Arrays:
        batch, time, _, height, width = inputs["frames"].shape
        return {"probability": np.zeros((batch, time, 2, height, width), np.float32)}


class FakeMatte(Session):
    """Opaque white wherever the segmenter's probability exceeds 0.5."""

    def run(self, inputs: Arrays) -> Arrays:
        opacity = (inputs["statistics"][:, :1] > 0.5).astype(np.float32)
        white = np.ones_like(opacity).repeat(3, 1)
        return {"opacity": opacity, "colour": white, "doubt": np.zeros_like(opacity), "belongs": opacity, "hides": opacity}


class FakeEncoder(Session):
    """The frame's brightness as luma; everything else is zero."""

    def run(self, inputs: Arrays) -> Arrays:
        batch, _, height, width = inputs["frame"].shape
        shapes = {t.name: t.sized({"batch": batch, "height": height, "width": width}) for t in INPAINTER_ENCODER.outputs}
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} | {"luma": inputs["frame"].mean(1, keepdims=True)}


class FakeInpainter(Session):
    """Mid-grey inside the mask."""

    def run(self, inputs: Arrays) -> Arrays:
        frame, mask = inputs["frame"], inputs["mask"]
        return {"clean": frame + mask * (np.float32(0.5) - frame)}


def networks(sizes: Sequence[int] = (1,), workers: int = 1, blind: bool = False) -> Networks:
    """All fake networks, with these batch sizes. `blind`: finds no mark, so that a job only detects and copies."""
    segmenter = BlindSegmenter() if blind else FakeSegmenter()
    return Networks(
        Batcher(segmenter, sizes, workers),
        Batcher(FakeMatte(), sizes, workers),
        Batcher(FakeEncoder(), sizes, workers),
        Batcher(FakeInpainter(), sizes, workers),
        {"device": "fake"},
    )
