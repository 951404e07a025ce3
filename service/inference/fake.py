"""A deterministic stand-in for the networks, for tests of what is around them: every bright pixel is a mark, and turns grey."""

import numpy as np

from service.inference.session import Arrays, Networks

BRIGHT = 0.95


class FakeSegmenter:
    """Overlay probability 1 where all three channels are above BRIGHT."""

    def run(self, inputs: Arrays) -> Arrays:
        overlay = (inputs["frames"].min(2, keepdims=True) > BRIGHT).astype(np.float32)
        return {"probability": np.concatenate([overlay, np.zeros_like(overlay)], 2)}


class FakeMatte:
    """Opaque white wherever the segmenter was sure."""

    def run(self, inputs: Arrays) -> Arrays:
        opacity = (inputs["statistics"][:, :1] > 0.5).astype(np.float32)
        return {"opacity": opacity, "colour": np.ones_like(opacity).repeat(3, 1)}


class FakeInpainter:
    """Half grey in the mask."""

    def run(self, inputs: Arrays) -> Arrays:
        frame, mask = inputs["frames"][:, 0], inputs["mask"][:, 0]
        return {"clean": frame + mask * (np.float32(0.5) - frame)}


def networks() -> Networks:
    """All three stand-ins."""
    return Networks(FakeSegmenter(), FakeMatte(), FakeInpainter(), {"device": "fake"})
