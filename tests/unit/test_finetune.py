"""Fine-tuning on a user's own mark: how it is drawn, which clips are held out, and what is delivered."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models import export
from models.matte import MatteConfig
from models.registry import find
from models.spec import NETWORKS
from tests.footage import write_film
from tests.material import moving_picture, small_source, small_vocabulary
from training import finetune, networks, own_mark, train_matte
from training.clips import Clip
from training.config import TrainConfig
from training.deliver import reuse_graph
from training.evaluate import SHIPPED
from training.finetune import Options
from training.own_mark import InputError, OwnMark, OwnSource
from training.samples import segmenter_sample

WIDTH, HEIGHT = 320, 180


def logo(path: Path, height: int = 40, width: int = 80, alpha: int = 255) -> Path:
    """A red disc on a transparent background."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    inside = rows**2 + columns**2 < 0.8
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 255, alpha * inside
    Image.fromarray(rgba).save(path)
    return path


@pytest.fixture
def own(tmp_path: Path) -> OwnMark:
    """The logo as the user's mark, with default options."""
    return OwnMark(*own_mark.read(logo(tmp_path / "logo.png")))


def test_the_mark_respects_sizes_opacities_and_the_frame(own: OwnMark) -> None:
    rng = np.random.default_rng(1)
    limited = dataclasses.replace(own, opacity=(0.3, 0.6), size=(0.1, 0.5))
    patches = [limited.patch(rng, WIDTH, HEIGHT) for _ in range(100)]
    longer = [max(patch.alpha.shape) / HEIGHT for patch in patches]
    assert 0.09 < min(longer) < 0.15
    assert 0.35 < max(longer) < 0.51
    peaks = [float(patch.alpha.max()) for patch in patches]
    assert 0.29 < min(peaks) < max(peaks) < 0.61
    for patch in patches:
        assert 0 <= patch.left <= WIDTH - patch.alpha.shape[1]
        assert 0 <= patch.top <= HEIGHT - patch.alpha.shape[0]
        np.testing.assert_allclose(
            patch.colour[patch.alpha > 0.1], np.broadcast_to([1, 0, 0], (int((patch.alpha > 0.1).sum()), 3)), atol=0.01
        )


def test_the_mark_respects_places(own: OwnMark) -> None:
    rng = np.random.default_rng(2)

    def centres(place: own_mark.Place) -> np.ndarray:
        drawn = [dataclasses.replace(own, place=place, size=(0.1, 0.1)).patch(rng, WIDTH, HEIGHT) for _ in range(60)]
        return np.array([((p.left + p.alpha.shape[1] / 2) / WIDTH, (p.top + p.alpha.shape[0] / 2) / HEIGHT) for p in drawn])

    corners, middle, anywhere = centres("corner"), centres("centre"), centres("any")
    assert (np.abs(corners - 0.5) > 0.3).all()
    assert len({tuple(corner) for corner in corners > 0.5}) == 4
    assert (np.abs(middle - 0.5) < 0.1).all()
    assert anywhere.std(0).min() > 0.2


def test_a_picture_without_alpha_is_opaque_and_invisible_margins_are_cropped(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (0, 255, 0)).save(tmp_path / "opaque.jpg")
    alpha, _ = own_mark.read(tmp_path / "opaque.jpg")
    assert alpha.shape == (20, 30)
    assert alpha.min() == 1
    with Image.open(logo(tmp_path / "logo.png")) as small:
        wide = Image.new("RGBA", (300, 300))
        wide.paste(small, (100, 50))
        wide.save(tmp_path / "wide.png")
    for cropped, original in zip(own_mark.read(tmp_path / "wide.png"), own_mark.read(tmp_path / "logo.png"), strict=True):
        np.testing.assert_array_equal(cropped, original)


def test_samples_show_the_users_mark(own: OwnMark) -> None:
    """The picture is red where the target is set."""
    source = small_source()
    opaque = dataclasses.replace(own, opacity=(1.0, 1.0), size=(0.3, 0.5))
    samples = [segmenter_sample(OwnSource(source.clips, source.vocabulary, 1, own=opaque, ordinary_share=0), i, size=96) for i in range(12)]
    marked = [sample for sample in samples if sample["target"][:, 0].sum() > 400]
    assert len(marked) > 3
    for sample in marked:
        red, green, _ = (sample["frames"][:, channel][sample["target"][:, 0] > 0].mean() for channel in range(3))
        assert red > green + 0.3


@pytest.mark.parametrize(("count", "held"), [(2, "1"), (3, "2"), (4, "3"), (5, "3"), (8, "37")])
def test_every_fourth_clip_is_held_out_and_always_at_least_one(count: int, held: str) -> None:
    every_clip = tuple(Clip(str(i), moving_picture(i, 2)) for i in range(count))
    training, held_out = finetune.split(every_clip)
    assert "".join(clip.name for clip in held_out) == held
    assert sorted(clip.name for clip in (*training, *held_out)) == [clip.name for clip in every_clip]


def test_a_single_clip_is_split_in_time_or_used_for_both() -> None:
    long, short = Clip("long", moving_picture(1, 30)), Clip("short", moving_picture(1, 5))
    (training,), (held,) = finetune.split((long,))
    np.testing.assert_array_equal(np.concatenate([training.frames, held.frames]), long.frames)
    assert finetune.split((short,))[0][0].frames is finetune.split((short,))[1][0].frames is short.frames


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Four short clips, and the shipped networks to start from."""
    footage = tmp_path / "clips"
    footage.mkdir()
    for seed in range(4):
        write_film(footage / f"{seed}.mp4", list(moving_picture(seed, 16)))
    return Options(
        mark=logo(tmp_path / "logo.png"),
        clips=footage,
        out=tmp_path / "out",
        cache=tmp_path / "cache",
        steps=1,
        samples=2,
        workers=0,
    )


@pytest.mark.slow
def test_a_mark_is_learned_end_to_end(options: Options) -> None:
    """The output folder holds three networks that the service accepts and that agree with torch."""
    rows = finetune.finetune(options, small_vocabulary())
    assert list(rows) == ["own, before", "own, after", "ordinary, before", "ordinary, after"]
    assert all({"f1", "wrong", "opacity_error", "psnr"} <= scores.keys() for scores in rows.values())
    assert json.loads((options.out / "scores.json").read_text()) == rows
    for spec in NETWORKS:
        found = find(spec, options.out / "manifest.toml")
        assert found.path == options.out / "weights" / f"{spec.name}.onnx"
        state, old = (torch.load(folder / f"{spec.name}.pt", weights_only=True) for folder in (found.path.parent, options.start))
        changed = any(not torch.equal(value, old["average"][key]) for key, value in state["average"].items())
        goal = networks.restored(spec.name, options.start / f"{spec.name}.pt").goal
        assert goal is not None
        assert changed == goal.is_better(rows["own, after"][goal.score], rows["own, before"][goal.score])
        assert found.version.startswith("1-own-" if changed else "0-own-")
        network = export.build(spec, state["network_config"], state["average"])
        sizes = {"batch": 2, "time": 2, "frames": 3, "height": 2 * spec.multiple, "width": 3 * spec.multiple}
        assert export.largest_difference(spec, network, found.path, sizes) < export.TOLERANCE
    with pytest.raises(InputError, match="not empty"):
        finetune.finetune(options, small_vocabulary())


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_blended_weights_lie_between_old_and_new(share: float) -> None:
    """Weights and running statistics; the number of batches is an integer count and is the new one's."""
    old, new = (networks.restored("matte", SHIPPED / "matte.pt").network for _ in range(2))
    with torch.no_grad():
        for value in (*new.parameters(), *new.buffers()):
            value.add_(1)
    blend, before = finetune.blended(old, new, share).state_dict(), old.state_dict()
    for name, value in before.items():
        expected = value + (share if value.is_floating_point() else 1)
        torch.testing.assert_close(blend[name], expected)


def test_a_graph_of_another_network_is_not_reused(tmp_path: Path) -> None:
    network = train_matte.task(TrainConfig("matte"), MatteConfig((8, 8, 12, 12))).network.eval()
    for template in ("matte.onnx", "segmenter.onnx", "missing.onnx"):
        assert not reuse_graph(SHIPPED / template, network, tmp_path / "matte.onnx")
    assert not list(tmp_path.iterdir())


def test_unusable_input_is_reported_in_one_line(options: Options, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "clip.mp4").write_bytes(b"no film")
    wrong = {
        "cannot be read": {"mark": tmp_path / "broken.png"},
        "cannot be read as": {"mark": tmp_path / "missing.png"},
        "transparent": {"mark": logo(tmp_path / "clear.png", alpha=0)},
        "no clips": {"clips": tmp_path / "empty"},
        "torn": {"clips": tmp_path / "torn"},
        "checkpoint of: segmenter": {"start": tmp_path / "empty"},
    }
    for message, change in wrong.items():
        with pytest.raises(InputError, match=message) as caught:
            finetune.finetune(dataclasses.replace(options, **change), small_vocabulary())  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [["--opacity", "0.9,0.3"], ["--size", "0,2"], ["--place", "left"], ["--ordinary", "2"]])
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        finetune.from_command_line(["--mark", "logo.png", "--clips", "clips", *wrong])
    assert "usage" in capsys.readouterr().err


def test_the_command_line_gives_the_options() -> None:
    line = finetune.from_command_line(["--mark", "my/logo.png", "--clips", "clips", "--opacity", "0.4", "--size", "0.1,0.2"])
    options = line.options
    assert (options.opacity, options.size, options.out) == ((0.4, 0.4), (0.1, 0.2), Path("build/own/logo"))
    assert options.minutes == Options.minutes
    assert line.videos is None


def test_the_mark_comes_from_a_picture_or_from_videos(capsys: pytest.CaptureFixture[str]) -> None:
    line = finetune.from_command_line(["--from-videos", "my/marked", "--clips", "clips", "--size", "0.1,0.2"])
    assert (line.videos, line.options.out) == (Path("my/marked"), Path("build/own/marked"))
    assert line.given == {"clips", "size"}
    for origin in ([], ["--mark", "logo.png", "--from-videos", "marked"]):
        with pytest.raises(SystemExit):
            finetune.from_command_line([*origin, "--clips", "clips"])
        assert "--from-videos" in capsys.readouterr().err


def test_only_scores_that_got_worse_by_more_than_the_tolerance_are_reported() -> None:
    before = {"f1": 0.8, "wrong": 0.001, "opacity_error": 0.05, "psnr": 30.0}
    assert finetune.worsened(before, {"f1": 0.79, "wrong": 0.002, "opacity_error": 0.01, "psnr": 33.0}) == []
    (line,) = finetune.worsened(before, {**before, "psnr": 29.0})
    assert "30.00 before, 29.00 after" in line
