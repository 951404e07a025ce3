"""The networks' ONNX contracts as data, read by the exporter, the runtime and the tests. No torch."""

from dataclasses import dataclass

SEGMENTER_MULTIPLE = 32  # H and W of the segmenter's input
INPAINTER_MULTIPLE = 16
MATTE_MULTIPLE = 8
MATTE_STATISTICS = 34


@dataclass(frozen=True)
class TensorSpec:
    """One float32 input or output. A dimension is a number, or the name of a free dimension; values lie in [low, high]."""

    name: str
    shape: tuple[int | str, ...]
    low: float = 0.0
    high: float = 1.0


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
INPAINTER = NetworkSpec(
    "inpainter",
    (
        TensorSpec("frames", ("batch", "frames", 3, "height", "width")),  # the target, then its references
        TensorSpec("mask", ("batch", "frames", 1, "height", "width")),
        TensorSpec("opacity", ("batch", "frames", 1, "height", "width")),
        TensorSpec("colour", ("batch", "frames", 3, "height", "width")),
        TensorSpec("doubt", ("batch", "frames", 1, "height", "width")),  # opacity sigma
    ),
    (TensorSpec("clean", ("batch", 3, "height", "width")),),
    INPAINTER_MULTIPLE,
)
NETWORKS = (SEGMENTER, MATTE, INPAINTER)
OPSET = 20
CONTRACT_VERSION = 4  # raised when a shape, range or meaning above changes
