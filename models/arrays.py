"""Names for the NumPy arrays that networks and pipeline exchange. Shapes and ranges are the docstrings' of those who use them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
