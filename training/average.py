"""The mean of the weights of several segmenters or matte heads, with the statistics of its normalisation estimated anew.

    python -m training.average OUT.pt 0.7*build/runs/segmenter/best.pt 0.3*models/weights/segmenter.pt --store build/store/segmenter
    python -m training.average OUT.pt 0.7*build/runs/matte/best.pt 0.3*models/weights/matte.pt --store build/store/matte

The mean of weights that were trained from the same start is often better than each of them (Wortsman et al., "Model soups", ICML 2022).
Its activations have other means and variances than those of its parts, which batch normalisation needs (Izmailov et al., "Averaging
weights leads to wider optima and better generalization", UAI 2018).
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from training import checkpoint, networks
from training.feed import collated
from training.stored import StoredSamples, read_index

BATCH = 4  # samples
INPUTS = {"segmenter": "frames", "matte": "statistics"}
OVERLAY_LOGITS = slice(0, 4)  # of the head's eight: one for each pixel of a square of two by two


def mean_of(parts: Sequence[tuple[float, dict[str, Any]]]) -> dict[str, Any]:
    """The weighted mean of checkpoints' averaged weights, float32. What is no floating-point number is that of the first one.

    Raises ValueError if the weights do not add up to 1.
    """
    if abs(sum(share for share, _ in parts) - 1) > 1e-6:
        raise ValueError("the shares must add up to 1")
    first = parts[0][1]["average"]
    return {
        name: sum(share * state["average"][name].float() for share, state in parts) if value.is_floating_point() else value
        for name, value in first.items()
    }


def with_statistics(network: nn.Module, batches: Iterator[Tensor]) -> nn.Module:
    """The network, whose running means and variances are those over the batches of its inputs; in evaluation mode."""
    with torch.no_grad():
        update_bn(batches, network)
    return network.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("parts", nargs="+", type=_part, metavar="SHARE*CHECKPOINT")
    parser.add_argument("--store", type=Path, required=True, help="samples of the network, on which the statistics are estimated")
    parser.add_argument("--batches", type=int, default=40, help=f"of {BATCH} samples")
    parser.add_argument("--overlay-bias", type=float, default=0.0, help="added to a segmenter's logits of overlays: more or less is found")
    given = parser.parse_args(arguments)
    name = read_index(given.store).network
    if name not in INPUTS or (given.overlay_bias and name != "segmenter"):
        parser.error(f"the store is of the {name}")
    states = [(share, checkpoint.load(path)) for share, path in given.parts]
    torch.set_flush_denormal(True)
    network = networks.restored(name, given.parts[0][1]).network
    network.load_state_dict(mean_of(states))
    samples = StoredSamples(given.store, name, seed=1)
    firsts = range(0, BATCH * given.batches, BATCH)
    with_statistics(network, (collated([samples(None, first + i) for i in range(BATCH)])[INPUTS[name]] for first in firsts))
    average = {key: value.contiguous() for key, value in network.state_dict().items()}
    if given.overlay_bias:
        average["head.bias"][OVERLAY_LOGITS] += given.overlay_bias
    config = states[0][1]["network_config"]
    torch.save({"step": max(int(state["step"]) for _, state in states), "network_config": config, "average": average}, given.out)


def _part(text: str) -> tuple[float, Path]:
    share, _, path = text.partition("*")
    return float(share), Path(path)


if __name__ == "__main__":
    main()
