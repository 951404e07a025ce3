"""Random inputs that follow a network's contract: for warm-up, validation and timing."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from models import spec
from models.preprocess import SEGMENTER_FRAMES
from models.references import REFERENCES
from service.errors import ModelError
from service.inference.batcher import Arrays, Session

FRAMES: Final = 1 + REFERENCES  # the inpainter's target and its reference frames
FREE: Final = {"batch": 1, "time": SEGMENTER_FRAMES, "frames": FRAMES}

# Height and width in pixels at 720p: a frame at analysis size, and the window of one wordmark.
WORDMARK: Final = (96, 192)
COMMON_PIXELS: Final[Mapping[str, tuple[int, int]]] = {
    "segmenter": (384, 640),
    "matte": WORDMARK,
    "inpainter_encoder": WORDMARK,
    "inpainter": WORDMARK,
}
TOLERANCE: Final = 1e-3  # beyond the range, for float16 rounding


def common_sizes(network: spec.NetworkSpec, batch: int = 1) -> dict[str, int]:
    """The most common values of the free dimensions."""
    height, width = COMMON_PIXELS[network.name]
    return {**FREE, "batch": batch, "height": height, "width": width}


def small_sizes(network: spec.NetworkSpec) -> dict[str, int]:
    """Free dimensions of about the smallest allowed input."""
    return {**FREE, "height": 2 * network.multiple, "width": 3 * network.multiple}


def inputs(network: spec.NetworkSpec, sizes: Mapping[str, int], seed: int = 0) -> Arrays:
    """Random values within each input's range."""
    rng = np.random.default_rng(seed)
    return {t.name: rng.uniform(t.low, t.high, t.sized(sizes)).astype(np.float32) for t in network.inputs}


def try_out(network: spec.NetworkSpec, session: Session) -> None:
    """Run the network on a small input. Raises ModelError if it fails, or if an output's shape or range breaks its contract."""
    sizes = small_sizes(network)
    try:
        outputs = session.run(inputs(network, sizes))
    except Exception as error:  # ONNX Runtime's own errors share no base class
        raise ModelError(f"the {network.name} does not run: {type(error).__name__}") from error
    for output in network.outputs:
        values = outputs[output.name]
        if values.shape != output.sized(sizes):
            raise ModelError(f"the {network.name}'s output has another shape than its contract says")
        if not (output.low - TOLERANCE <= values.min() and values.max() <= output.high + TOLERANCE):  # also refuses NaN
            raise ModelError(f"the {network.name}'s output is outside its range")
