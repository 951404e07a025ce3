"""Made-up inputs for a network, after its contract: to warm it up, to try it, to time it."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from models import spec
from models.preprocess import SEGMENTER_FRAMES
from models.references import REFERENCES
from service.errors import ModelError
from service.inference.batcher import Arrays, Session

FRAMES: Final = 1 + REFERENCES  # of the inpainter: a target and its references
FREE: Final = {"batch": 1, "time": SEGMENTER_FRAMES, "frames": FRAMES}

# Height and width at 720p: a picture at analysis size, and the window of one wordmark. In pixels.
COMMON_PIXELS: Final[Mapping[str, tuple[int, int]]] = {"segmenter": (384, 640), "matte": (96, 192), "inpainter": (96, 192)}
MARGIN: Final = 1e-3  # beyond the range: the last bits of a half


def common_sizes(network: spec.NetworkSpec, batch: int = 1) -> dict[str, int]:
    """The free dimensions as they come most often."""
    height, width = COMMON_PIXELS[network.name]
    return {**FREE, "batch": batch, "height": height, "width": width}


def small_sizes(network: spec.NetworkSpec) -> dict[str, int]:
    """The free dimensions of about the smallest input."""
    return {**FREE, "height": 2 * network.multiple, "width": 3 * network.multiple}


def inputs(network: spec.NetworkSpec, sizes: Mapping[str, int], seed: int = 0) -> Arrays:
    """Random values within each input's range."""
    rng = np.random.default_rng(seed)
    shapes = {t.name: [sizes[d] if isinstance(d, str) else d for d in t.shape] for t in network.inputs}
    return {t.name: rng.uniform(t.low, t.high, shapes[t.name]).astype(np.float32) for t in network.inputs}


def try_out(network: spec.NetworkSpec, session: Session) -> None:
    """Runs the network on a small input. Raises ModelError where it fails, or an answer has another shape or range than its contract."""
    sizes = small_sizes(network)
    try:
        answer = session.run(inputs(network, sizes))
    except Exception as error:  # ONNX Runtime's own errors share no base class
        raise ModelError(f"the {network.name} does not run: {type(error).__name__}") from error
    for output in network.outputs:
        values = answer[output.name]
        if list(values.shape) != [sizes[d] if isinstance(d, str) else d for d in output.shape]:
            raise ModelError(f"the {network.name} answers in another shape than its contract")
        if not (output.low - MARGIN <= values.min() and values.max() <= output.high + MARGIN):  # not a number is refused too
            raise ModelError(f"the {network.name} answers outside of its range")
