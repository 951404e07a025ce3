"""A segmenter that knows a mark by its standing still alone."""

import numpy as np

from service.inference import fake
from service.inference.batcher import Arrays, Session


class SeesWhatStands(Session):
    """Overlay probability 1 where a bright pixel stays as it is; nothing in a single picture."""

    def run(self, inputs: Arrays) -> Arrays:
        frames = inputs["frames"]  # (B, T, 3, h, w)
        stands = (frames.min((1, 2)) > fake.BRIGHT) & (frames.shape[1] > 1)
        overlay = np.repeat(stands[:, None, None], frames.shape[1], 1).astype(np.float32)
        return {"probability": np.concatenate([overlay, np.zeros_like(overlay)], 2)}
