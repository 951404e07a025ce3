"""What a video costs by its length and size: a flat price, and more for each second and each megapixel of each second. Pure."""

import math
from dataclasses import dataclass
from decimal import Decimal

PIXELS_PER_MEGAPIXEL = 10**6


@dataclass(frozen=True)
class Metering:
    """Credits beside the flat price. Exact decimals, so that no rounding of a sum costs a credit."""

    second_credits: Decimal = Decimal(0)
    megapixel_second_credits: Decimal = Decimal(0)

    @property
    def measures(self) -> bool:
        """Whether the price depends on length or size at all."""
        return bool(self.second_credits or self.megapixel_second_credits)

    def credits(self, seconds: float, pixels: int = 0) -> int:
        """What so many seconds cost, of pictures of so many pixels; rounded up to whole credits."""
        length = Decimal(str(round(seconds, 3)))
        megapixels = Decimal(pixels) / PIXELS_PER_MEGAPIXEL
        return math.ceil(length * (self.second_credits + megapixels * self.megapixel_second_credits))
