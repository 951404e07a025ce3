"""The pretrained features: folded batch normalisation computes what the published network does, and training leaves them alone."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.pretrained_features import CHANNELS, DEVIATION, EPSILON, MEAN, STAGES, PretrainedFeatures, load_published
from models.segmenter import Segmenter, SegmenterConfig
from training import checkpoint
from training.pretrained import load_pretrained


def published(seed: int) -> dict[str, Tensor]:
    """Random weights by the names of the published ones, with batch normalisation."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}

    def add(convolution: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
        weights[f"{convolution}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=generator) / (inputs * kernel**2) ** 0.5
        for name in ("weight", "running_var"):
            weights[f"{norm}.{name}"] = 0.5 + torch.rand(outputs, generator=generator)
        for name in ("bias", "running_mean"):
            weights[f"{norm}.{name}"] = torch.randn(outputs, generator=generator)

    add("_conv_stem", "_bn0", 32, 3, 3)
    inputs, number = 32, 0
    for stage in STAGES:
        for _ in range(stage.repeats):
            name, wide = f"_blocks.{number}", inputs * stage.expansion
            if stage.expansion > 1:
                add(f"{name}._expand_conv", f"{name}._bn0", wide, inputs, 1)
            add(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, stage.kernel)
            add(f"{name}._project_conv", f"{name}._bn2", stage.channels, wide, 1)
            inputs, number = stage.channels, number + 1
    return weights


def unfolded(weights: dict[str, Tensor], pictures: Tensor) -> list[Tensor]:
    """The features by the book: TensorFlow's padding, a convolution, batch normalisation, ReLU6."""

    def layer(x: Tensor, convolution: str, norm: str, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = weights[f"{convolution}.weight"]
        missing = [max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0) for side in x.shape[-2:]]
        (down, right), (top, left) = missing, [side // 2 for side in missing]
        x = F.conv2d(F.pad(x, (left, right - left, top, down - top)), kernel, stride=stride, groups=groups)
        mean, variance, scale, bias = (weights[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, variance, scale, bias, eps=EPSILON)

    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    x = F.relu6(layer((pictures - mean) / deviation, "_conv_stem", "_bn0", 2))
    number, ends = 0, []
    for stage in STAGES:
        for repeat in range(stage.repeats):
            name, before = f"_blocks.{number}", x
            if stage.expansion > 1:
                x = F.relu6(layer(x, f"{name}._expand_conv", f"{name}._bn0"))
            x = F.relu6(layer(x, f"{name}._depthwise_conv", f"{name}._bn1", 1 if repeat else stage.stride, x.shape[1]))
            x = layer(x, f"{name}._project_conv", f"{name}._bn2")
            x = x + before if repeat else x
            number += 1
        ends.append(x)
    return [ends[1], ends[2], ends[4], ends[5]]


@pytest.mark.parametrize("size", [(32, 64), (96, 32)])
def test_folded_weights_give_the_published_features(size: tuple[int, int]) -> None:
    weights, features = published(1), PretrainedFeatures()
    load_published(features, weights)
    pictures = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found, expected = features(pictures), unfolded(weights, pictures)
    for number, (one, other, channels) in enumerate(zip(found, expected, CHANNELS, strict=True)):
        assert one.shape == (2, channels, size[0] >> 2 + number, size[1] >> 2 + number)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.std()))


def test_the_shipped_package_knows_one_picture_from_another() -> None:
    """Its features of a scene change less when the scene is shifted by their grid than when its pixels are shuffled."""
    features = PretrainedFeatures()
    load_pretrained(features)
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:96, :160]
    scene = np.stack([0.5 + 0.3 * np.sin(rows / 9 + k) * np.cos(columns / 13) for k in range(3)]).astype(np.float32)
    shuffled = rng.permutation(scene.reshape(3, -1).T).T.reshape(scene.shape)
    pictures = torch.from_numpy(np.stack([scene[:, :, :128], scene[:, :, 32:], np.ascontiguousarray(shuffled[:, :, :128])]))
    with torch.no_grad():
        here, there, noise = features(pictures)[2]
    shifted = (here[:, 1:-1, 3:-1] - there[:, 1:-1, 1:-3]).square().mean()
    assert shifted < 0.2 * (here - noise).square().mean()


def test_a_segmenter_begins_with_what_it_knew_before() -> None:
    """New layers change nothing until they have learned, and what a checkpoint lacks stays as it was."""
    torch.manual_seed(1)
    network = Segmenter(SegmenterConfig((4, 6, 6, 8, 8))).eval()
    older = {name: value for name, value in network.state_dict().items() if "known" not in name and "pretrained" not in name}
    torch.manual_seed(2)
    newer = Segmenter(SegmenterConfig((4, 6, 6, 8, 8))).eval()
    load_pretrained(newer.pretrained)
    checkpoint.warm_start(newer, older)
    frames = torch.rand(1, 2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(newer(frames), network(frames))
    with pytest.raises(RuntimeError, match=r"lacks: one\.more"):
        checkpoint.warm_start(newer, {**older, "one.more": torch.zeros(1)})


def test_training_leaves_the_pretrained_features_alone() -> None:
    network = Segmenter(SegmenterConfig((4, 6, 6, 8, 8)))
    before = {name: value.clone() for name, value in network.pretrained.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), 0.1, weight_decay=0.5)
    for _ in range(2):
        network(torch.rand(1, 2, 3, 64, 64)).square().mean().backward()
        optimiser.step()
    assert all(torch.equal(before[name], value) for name, value in network.pretrained.state_dict().items())
    assert isinstance(network.known4, nn.Conv2d)
    assert network.known4.weight.abs().max() > 0
