"""The networks' ONNX contracts as data, read by the exporter, the runtime and the tests. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

SEGMENTER_MULTIPLE = 32  # H and W of the segmenter's input
INPAINTER_MULTIPLE = 16
MATTE_MULTIPLE = 8
MATTE_STATISTICS = 34
QUARTER_FEATURES = EIGHTH_FEATURES = 16  # of an encoded frame, at 1/4 and 1/8


@dataclass(frozen=True)
class TensorSpec:
    """One float32 input or output. A dimension is a number, or the name of a free dimension, or NAME/DIVISOR; values lie in [low, high]."""

    name: str
    shape: tuple[int | str, ...]
    low: float = 0.0
    high: float = 1.0

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with the free dimensions of these sizes."""
        return tuple(d if isinstance(d, int) else _size(d, sizes) for d in self.shape)


def _size(dimension: str, sizes: Mapping[str, int]) -> int:
    name, _, divisor = dimension.partition("/")
    return sizes[name] // int(divisor or 1)


@dataclass(frozen=True)
class NetworkSpec:
    """A network's file is `NAME.onnx`; height and width must be divisible by `multiple`."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    multiple: int


SEGMENTER = NetworkSpec(
    "segmenter",
    (TensorSpec("frames", ("batch", "time", 3, "height", "width")),),
    (TensorSpec("probability", ("batch", "time", 2, "height", "width")),),  # overlay, scene text
    SEGMENTER_MULTIPLE,
)
MATTE = NetworkSpec(
    "matte",
    (TensorSpec("statistics", ("batch", MATTE_STATISTICS, "height", "width"), -2.0, 4.0),),  # models.preprocess.matte_statistics
    (
        TensorSpec("opacity", ("batch", 1, "height", "width")),
        TensorSpec("colour", ("batch", 3, "height", "width")),
        TensorSpec("doubt", ("batch", 1, "height", "width")),  # opacity sigma: root mean square error of the opacity at its true level
        TensorSpec("belongs", ("batch", 1, "height", "width")),  # probability that the pixel is part of the mark
        TensorSpec("hides", ("batch", 1, "height", "width")),  # probability that nothing of the scene shows through
    ),
    MATTE_MULTIPLE,
)
_MARKED = (  # a frame with its mark model
    TensorSpec("frame", ("batch", 3, "height", "width")),
    TensorSpec("mask", ("batch", 1, "height", "width")),
    TensorSpec("opacity", ("batch", 1, "height", "width")),
    TensorSpec("colour", ("batch", 3, "height", "width")),
    TensorSpec("doubt", ("batch", 1, "height", "width")),  # opacity sigma
)
INPAINTER_ENCODER = NetworkSpec(
    "inpainter_encoder",
    _MARKED,
    (
        TensorSpec("luma", ("batch", 1, "height", "width")),  # of the best guess at the scene
        TensorSpec("chroma", ("batch", 3, "height/2", "width/2"), -1.0),  # the guess's red and blue minus green; trust
        TensorSpec("filled", ("batch", 3, "height/2", "width/2")),
        TensorSpec("quarter", ("batch", QUARTER_FEATURES, "height/4", "width/4"), -1.0),
        TensorSpec("eighth", ("batch", EIGHTH_FEATURES, "height/8", "width/8"), -1.0),
    ),
    INPAINTER_MULTIPLE,
)
INPAINTER = NetworkSpec(
    "inpainter",
    (
        *_MARKED,  # the target
        *(replace(t, shape=("batch", "frames", *t.shape[1:])) for t in INPAINTER_ENCODER.outputs),  # of the target, then of its references
        TensorSpec("shift", ("batch", "frames", 2), -16.0, 16.0),  # (dx, dy) in pixels, from the target to the same content
    ),
    (TensorSpec("clean", ("batch", 3, "height", "width")),),
    INPAINTER_MULTIPLE,
)
NETWORKS = (SEGMENTER, MATTE, INPAINTER_ENCODER, INPAINTER)
OPSET = 20
CONTRACT_VERSION = 4  # raised when a shape, range or meaning above changes
