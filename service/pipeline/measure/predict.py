"""What the matte network says of a mark."""

from dataclasses import dataclass, field

from models.arrays import Floats
from models.preprocess import matte_statistics, padded
from models.spec import MATTE_MULTIPLE
from service.inference.batcher import Batcher

LIKELY = 0.5  # a probability above which a pixel more likely belongs than not


@dataclass(frozen=True)
class Prediction:
    """The matte network's answer: (h, w), the colour (3, h, w); all in [0, 1].

    opacity_sigma: standard deviation of the opacity's error once its level is right. belongs: the probability that a pixel is part of the
    mark, its outline and shadow included. hides: the probability that nothing of the scene shows through.
    """

    opacity: Floats = field(repr=False)
    colour: Floats = field(repr=False)
    opacity_sigma: Floats = field(repr=False)
    belongs: Floats = field(repr=False)
    hides: Floats = field(repr=False)


def predict_matte(marked_crops: Floats, probability: Floats, bare_crops: Floats, network: Batcher) -> Prediction:
    """The prediction for a placement.

    marked_crops: (N, 3, h, w) in [0, 1]; bare_crops: (M, 3, h, w), the same place without the mark; probability: (h, w) of being mark.
    """
    height, width = probability.shape
    statistics = padded(matte_statistics(marked_crops, probability, bare_crops), MATTE_MULTIPLE)
    (answer,) = network.run([{"statistics": statistics}])
    planes = {name: values[:, :height, :width] for name, values in answer.items()}
    return Prediction(planes["opacity"][0], planes["colour"], planes["doubt"][0], planes["belongs"][0], planes["hides"][0])
