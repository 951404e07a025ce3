"""Tests whether eight-bit convolutions speed up a network on this machine's CPU; if so, makes them the variant that the CPU runs.

    python -m benchmarks.int8 inpainter ../shared/data/train

Ranges are calibrated, and the accuracy is measured, on training samples. A variant is kept if it is at least 1.1 times as fast in one
thread and its PSNR against float32 is at least 60 dB on the worst sample (`models/variants.py`); otherwise nothing changes.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from models import export, registry
from models.spec import INPAINTER_ENCODER, NETWORKS, NetworkSpec
from models.variants import Arrays, VariantRejected, make_int8
from service.inference import trial
from service.inference.onnx_runtime import OnnxSession
from training import samples
from training.config import TrainConfig
from training.fit import open_sources
from training.restoration import inpainter_sample
from training.samples import Sample, Source


def marked_frames(source: Source, index: int) -> Sample:
    """The encoder's inputs (B, ...) in a sample of the inpainter: all of its frames."""
    sample = inpainter_sample(source, index)
    return {"frame": sample["frames"], **{name: sample[name] for name in ("mask", "opacity", "colour", "doubt")}}


def encoded_window(source: Source, index: int) -> Sample:
    """The inpainter's inputs (1, ...) in one of its samples, encoded by the shipped encoder."""
    frames = marked_frames(source, index)
    encoding = OnnxSession(registry.find(INPAINTER_ENCODER).path, INPAINTER_ENCODER, "cpu").run(frames)
    target = {name: array[:1] for name, array in frames.items()}
    return {**target, **{name: array[None] for name, array in encoding.items()}, "shift": inpainter_sample(source, index)["shift"][None]}


def batch_of_one(sampler: Callable[[Source, int], Sample]) -> Callable[[Source, int], Sample]:
    return lambda source, index: {name: array[None] for name, array in sampler(source, index).items()}


SAMPLES: Final[dict[str, Callable[[Source, int], Sample]]] = {
    "segmenter": batch_of_one(samples.segmenter_sample),
    "matte": batch_of_one(samples.matte_sample),
    "inpainter_encoder": marked_frames,
    "inpainter": encoded_window,
}


def sample_inputs(network: NetworkSpec, source: Source, count: int) -> list[Arrays]:
    """The network's inputs in `count` training samples."""
    training_samples = (SAMPLES[network.name](source, index) for index in range(count))
    return [{t.name: sample[t.name] for t in network.inputs} for sample in training_samples]


def add_int8(network: NetworkSpec, inputs: list[Arrays], folder: Path = registry.SHIPPED) -> str:
    """Make the variant and enter it in the folder's manifest if it is accepted; return the outcome as a sentence."""
    manifest = folder / registry.MANIFEST_FILE
    path = registry.find(network, manifest).path
    try:
        target, cost, speedup = make_int8(path, inputs, trial.inputs(network, trial.common_sizes(network)))
    except VariantRejected as reason:
        return f"not kept: {reason}"
    export.enter_variant(network, target, {**cost.metrics(), "times_as_fast": round(speedup, 2)}, manifest)
    return f"kept: {target.name} is {speedup:.2f} times as fast, {cost.psnr_db:.1f} dB from float32"


def main(
    name: Annotated[str, typer.Argument(help="segmenter, matte, inpainter_encoder or inpainter.")],
    data: Annotated[Path, typer.Argument(help="Folder with clips/ and photos/, as for training.", exists=True)],
    cache: Annotated[Path, typer.Option(help="Training's cache of decoded clips.")] = TrainConfig.cache,
    count: Annotated[int, typer.Option(min=4, help="Number of samples; half of them calibrate.")] = 48,
) -> None:
    """Make the variant, measure it, and keep it if it is accepted."""
    network = next(network for network in NETWORKS if network.name == name)
    source = open_sources(replace(TrainConfig(name), data=data, cache=cache)).training
    print(add_int8(network, sample_inputs(network, source, count)))


if __name__ == "__main__":
    typer.run(main)
