"""Whether a network's file is what its contract in `models/spec.py` says."""

from collections.abc import Mapping, Sequence

from models.spec import TensorSpec


def keeps(contract: Sequence[TensorSpec], shapes: Mapping[str, Sequence[int | None]]) -> bool:
    """Whether a file's tensors have the names and the fixed dimensions of the contract; a free dimension is None."""
    return {name: list(shape) for name, shape in shapes.items()} == {
        t.name: [d if isinstance(d, int) else None for d in t.shape] for t in contract
    }
