"""Whether eight-bit convolutions help a network on this machine's CPU; where they do, they become the variant that the CPU runs.

    python -m benchmarks.int8 inpainter ../shared/data/train

Ranges are learnt, and the cost is measured, on training samples. A variant is kept if it is at least 1.1 times as fast in one thread and
within 60 dB of float32 on the worst sample (`models/variants.py`); otherwise nothing changes.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from models import export, registry
from models.spec import NETWORKS, NetworkSpec
from models.variants import Arrays, NotWorthIt, make_int8
from service.inference import trial
from training import samples
from training.config import TrainConfig
from training.fit import open_sources
from training.restoration import inpainter_sample
from training.samples import Sample, Source

SAMPLES: Final[dict[str, Callable[[Source, int], Sample]]] = {
    "segmenter": samples.segmenter_sample,
    "matte": samples.matte_sample,
    "inpainter": inpainter_sample,
}


def drawn(network: NetworkSpec, source: Source, count: int) -> list[Arrays]:
    """Training samples as the network's inputs, batches of one."""
    made = (SAMPLES[network.name](source, index) for index in range(count))
    return [{t.name: sample[t.name][None] for t in network.inputs} for sample in made]


def add_int8(network: NetworkSpec, inputs: list[Arrays], folder: Path = registry.SHIPPED) -> str:
    """Makes the variant and enters it in the folder's manifest if it is worth it; what came of it, in words."""
    manifest = folder / registry.MANIFEST_FILE
    path = registry.find(network, manifest).path
    try:
        target, cost, gain = make_int8(path, inputs, trial.inputs(network, trial.common_sizes(network)))
    except NotWorthIt as reason:
        return f"not kept: {reason}"
    export.enter_variant(network, target, {**cost.figures(), "times_as_fast": round(gain, 2)}, manifest)
    return f"kept: {target.name} is {gain:.2f} times as fast, {cost.psnr_db:.1f} dB from float32"


def main(
    name: Annotated[str, typer.Argument(help="segmenter, matte or inpainter.")],
    data: Annotated[Path, typer.Argument(help="Folder with clips/ and photos/, as for training.", exists=True)],
    cache: Annotated[Path, typer.Option(help="Where training keeps its decoded clips.")] = TrainConfig.cache,
    count: Annotated[int, typer.Option(min=4, help="Samples; half of them to learn from.")] = 48,
) -> None:
    """Make, measure, decide."""
    network = next(network for network in NETWORKS if network.name == name)
    source = open_sources(replace(TrainConfig(name), data=data, cache=cache)).training
    print(add_int8(network, drawn(network, source, count)))


if __name__ == "__main__":
    typer.run(main)
