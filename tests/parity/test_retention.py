"""A segmenter with a teacher keeps the marks that the teacher sees, and none of the teacher's mistakes."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from models.segmenter import SegmenterConfig
from training import checkpoint, losses, train_segmenter
from training.config import TrainConfig
from training.task import Batch

SHAPE = SegmenterConfig((8, 8, 12, 12, 16))
CONFIG = TrainConfig("small", seed=3)


def random_batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return {
        "frames": torch.rand(2, 4, 3, 64, 64, generator=generator),
        "target": (torch.rand(2, 4, 2, 64, 64, generator=generator) > 0.7).float(),
    }


def random_logits(seed: int) -> Tensor:
    return 3 * torch.randn(2, 4, 2, 64, 64, generator=torch.Generator().manual_seed(seed))


def saved_teacher(folder: Path) -> Path:
    """A teacher that marks about half of the pixels."""
    network = train_segmenter.task(replace(CONFIG, seed=8), SHAPE).network
    with torch.no_grad():
        network.head.bias.zero_()  # type: ignore[union-attr,operator]
        network.head.weight.mul_(20)  # type: ignore[union-attr,operator]
    run = checkpoint.Run(network, network, torch.optim.SGD(network.parameters()))
    checkpoint.save(folder / "teacher.pt", run, CONFIG)
    return folder / "teacher.pt"


def test_only_marks_that_the_teacher_sees_are_pulled_towards_its_answer() -> None:
    learned, known, target = random_logits(1).requires_grad_(), random_logits(2), random_batch(3)["target"]
    (gradient,) = torch.autograd.grad(losses.retention(learned, known, target), learned)
    kept = (target[:, :, 0] == 1) & (known[:, :, 0] > 0)
    expected = torch.zeros_like(learned)
    expected[:, :, 0][kept] = (4 / learned.numel()) * (learned[:, :, 0].sigmoid() - known[:, :, 0].sigmoid())[kept].detach()
    assert 0.05 < kept.float().mean() < 0.3
    torch.testing.assert_close(gradient, expected)


def test_nothing_is_lost_by_a_network_that_answers_like_its_teacher() -> None:
    known, target = random_logits(2), random_batch(3)["target"]
    at_its_answer = losses.retention(known, known, target)
    for seed in range(5):
        assert losses.retention(known + 0.3 * random_logits(10 + seed), known, target) > at_its_answer


def test_a_teacher_adds_to_the_loss_and_learns_nothing(tmp_path: Path) -> None:
    path, batch = saved_teacher(tmp_path), random_batch(5)
    plain, taught = train_segmenter.task(CONFIG, SHAPE), train_segmenter.task(replace(CONFIG, teacher=str(path)), SHAPE)
    with torch.no_grad():  # both networks are the same; their running statistics do not matter in training
        without, with_teacher = plain.loss(plain.network, batch), taught.loss(taught.network, batch)
    assert with_teacher > without
    optimiser = torch.optim.SGD(taught.network.parameters(), 0.1)
    taught.loss(taught.network, batch).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    teacher = taught.loss.keywords["teacher"]  # type: ignore[attr-defined]
    saved = checkpoint.load(path)["average"]
    assert all(torch.equal(weights, saved[name]) for name, weights in teacher.state_dict().items())
    assert not teacher.training
