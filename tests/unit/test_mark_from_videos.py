"""A mark that is put together from what the service measures in several files that carry it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from service.inference import fake
from tests.footage import pan, write_film
from training import finetune, mark_from_videos, own_mark
from training.finetune import Options
from training.mark_from_videos import Found, common_mark
from training.own_mark import InputError

ORANGE = np.array([1.0, 0.5, 0.0], np.float32)


def glyph(kind: int, height: int = 40, width: int = 80) -> np.ndarray:
    """The coverage of one of a few shapes, (height, width) in [0, 1]."""
    canvas = np.zeros((height, width), np.uint8)
    if kind == 0:
        cv2.putText(canvas, "abc", (8, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2)
    elif kind == 1:
        cv2.circle(canvas, (width // 2, height // 2), 14, 255, 4)
    else:
        cv2.line(canvas, (4, height - 6), (width - 6, 6), 255, 3)
    return canvas.astype(np.float32) / 255


def found(file: str, kind: int, opacity: float = 0.6, shift: tuple[int, int] = (0, 0), sigma: float = 0.05, seed: int = 0) -> Found:
    """A shape as it would be measured: moved, and with errors of about `sigma`."""
    alpha = np.roll(opacity * glyph(kind), shift, (0, 1))
    noise = np.random.default_rng(seed).normal(0, sigma, alpha.shape) * (alpha > 0)
    colour = np.broadcast_to(ORANGE, (*alpha.shape, 3)).astype(np.float32)
    return Found(Path(file), np.clip(alpha + noise, 0, 1).astype(np.float32), colour, np.full_like(alpha, sigma), 0.2)


def error_of(picture: np.ndarray, kind: int = 0) -> float:
    """Mean error of the alpha of RGBA pixels, wherever the mark lies in them: its place is that in any one of the files."""
    alpha, truth = picture[..., 3] / 255, 0.6 * glyph(kind)
    return min(float(np.abs(np.roll(alpha, (dy, dx), (0, 1)) - truth).mean()) for dy in range(-4, 5) for dx in range(-4, 5))


def test_the_shape_that_most_files_share_is_the_mark() -> None:
    marks = [found("a.mp4", 1), found("a.mp4", 0), found("b.mp4", 0, shift=(2, -3)), found("b.mp4", 2), found("c.mp4", 0, shift=(-1, 4))]
    mark = common_mark(marks)
    assert [path.name for path in mark.files] == ["a.mp4", "b.mp4", "c.mp4"]
    assert error_of(mark.picture) < 0.01
    solid = mark.picture[..., 3] > 0.5 * 255
    assert solid.sum() > 100
    np.testing.assert_allclose(mark.picture[solid][:, :3] / 255, np.broadcast_to(ORANGE, (int(solid.sum()), 3)), atol=0.01)


def test_more_files_and_more_exact_ones_give_a_better_mark() -> None:
    def error(marks: Sequence[Found]) -> float:
        return error_of(common_mark(marks).picture)

    noisy = [found(f"{n}.mp4", 0, sigma=0.2, seed=n) for n in range(8)]
    assert error(noisy) < 0.7 * error(noisy[:2])
    assert error([*noisy[:2], found("exact.mp4", 0, sigma=0.01)]) < 0.4 * error(noisy[:2])


@pytest.mark.parametrize("marks", [[], [found("a.mp4", 0)], [found("a.mp4", 0), found("b.mp4", 1), found("a.mp4", 0)]])
def test_a_mark_of_one_file_only_is_not_believed(marks: list[Found]) -> None:
    with pytest.raises(InputError, match="share"):
        common_mark(marks)


def marked_films(folder: Path, count: int) -> Path:
    """Films of different scenes, each with the same white shape in another place, as the fake networks find it."""
    folder.mkdir()
    shape = glyph(1, 32, 32) > 0.5
    for number in range(count):
        pictures = [picture.copy() for picture in pan(number, 12, (1, 2))]
        for picture in pictures:
            picture[20 + 8 * number :, 30 + 12 * number :][:32, :32][shape] = 255
        write_film(folder / f"{number}.mp4", pictures)
    return folder


def test_the_mark_of_real_files_becomes_the_picture_to_train_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films = marked_films(tmp_path / "films", 3)
    (films / "notes.txt").write_text("not a film")
    options = Options(tmp_path / "none.png", tmp_path / "clips", tmp_path / "out")
    taken = finetune.with_common_mark(options, films, {"opacity"}, fake.networks())
    assert taken.mark == tmp_path / "out.png"
    assert taken.opacity == options.opacity  # given on the command line
    longer_side = 32 / 96
    assert taken.size[0] < longer_side < taken.size[1]
    alpha, colour = own_mark.read(taken.mark)
    assert alpha.max() > 0.98
    assert 0.2 < (alpha > 0.5).mean() < 0.7  # a ring
    assert colour[alpha > 0.9].min() > 0.9
    printed = capsys.readouterr().out
    assert "notes.txt: " in printed
    assert "0.mp4, 1.mp4, 2.mp4" in printed


def test_a_folder_of_too_few_files_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", marked_films(tmp_path / "one", 1)):
        with pytest.raises(InputError, match="at least 2"):
            mark_from_videos.mark_in(folder, fake.networks())
