"""What `import cleanplate` gives: the names that it promises, and two functions that do what the command does."""

import inspect
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

import cleanplate
from cleanplate import public
from service import errors
from service.inference import fake
from tests.footage import read_film, scene, write_film

WIDTH, HEIGHT, FRAMES = 128, 96, 30
SQUARE = (40, 32, 72, 56)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A white square on a moving scene, which the stand-ins for the networks find."""
    pictures = [scene(i, WIDTH, HEIGHT) for i in range(FRAMES)]
    left, top, right, bottom = SQUARE
    for picture in pictures:
        picture[top:bottom, left:right] = 255
    return write_film(tmp_path_factory.mktemp("clip") / "in.mp4", pictures)


@pytest.fixture
def networks() -> cleanplate.Networks:
    return fake.networks()


def test_all_names_are_there_in_order_and_documented() -> None:
    assert cleanplate.__all__ == public.__all__ == sorted(set(public.__all__))
    assert set(public.__all__) <= set(dir(cleanplate))
    for name in public.__all__:
        assert getattr(cleanplate, name) is getattr(public, name)
    documented = [getattr(public, name) for name in public.__all__ if name not in ("Device", "Kind", "__version__")]
    assert not [thing for thing in documented if not inspect.getdoc(thing)]
    with pytest.raises(AttributeError, match="no attribute 'polish'"):
        _ = getattr(cleanplate, "polish")  # noqa: B009 (mypy would refuse the plain form, as it should)


def test_nothing_else_is_exported() -> None:
    assert {name for name in vars(public) if not name.startswith("_")} | {"__version__"} == set(public.__all__)


def test_every_error_is_exported() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, cleanplate.CleanplateError)}
    assert kinds <= set(public.__all__)


@pytest.mark.parametrize("function", [cleanplate.clean, cleanplate.detect, cleanplate.load_networks])
def test_every_argument_has_a_type(function: object) -> None:
    assert callable(function)
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters
    assert set(parameters) | {"return"} == set(hints)


def test_both_clients_do_the_same() -> None:
    for name, method in inspect.getmembers(cleanplate.Client, inspect.isfunction):
        if not name.startswith("_"):
            other = getattr(cleanplate.AsyncClient, name)
            assert inspect.iscoroutinefunction(other)
            assert inspect.signature(method) == inspect.signature(other)
            assert inspect.getdoc(method) == inspect.getdoc(other)


def test_a_clip_is_cleaned_and_its_report_says_how(clip: Path, networks: cleanplate.Networks, tmp_path: Path) -> None:
    steps: list[cleanplate.Progress] = []
    target = tmp_path / "new" / "clean.mp4"
    report = cleanplate.clean(str(clip), target, networks=networks, on_progress=steps.append, debug=tmp_path / "debug")
    (placement,) = report.placements
    assert (placement.first_frame, placement.last_frame) == (0, FRAMES - 1)
    assert report.provenance is not None
    assert report.provenance.signed_by
    left, top, right, bottom = SQUARE
    changes = np.abs(np.stack(read_film(target)).astype(int) - np.stack(read_film(clip)))
    assert changes[:, top:bottom, left:right].mean() > 50
    assert changes[:, : top - 12].mean() < 5
    assert list(dict.fromkeys(progress.step for progress in steps)) == ["locate", "measure", "bound", "remove"]
    assert any((tmp_path / "debug").iterdir())


def test_detecting_finds_what_cleaning_removes_and_writes_nothing(clip: Path, networks: cleanplate.Networks, tmp_path: Path) -> None:
    before = sorted(clip.parent.iterdir())
    found = cleanplate.detect(clip, networks=networks)
    removed = cleanplate.clean(clip, tmp_path / "clean.mp4", networks=networks).placements
    assert len(found) == len(removed) == 1
    for one, other in zip(found, removed, strict=True):
        assert (one.box, one.first_frame, one.last_frame, one.kind) == (other.box, other.first_frame, other.last_frame, other.kind)
        np.testing.assert_array_equal(one.opacity, other.opacity)
        np.testing.assert_array_equal(one.mask, other.mask)
    assert sorted(clip.parent.iterdir()) == before


def test_a_box_stands_in_for_detection_unless_both_are_asked_for(clip: Path, networks: cleanplate.Networks) -> None:
    box = cleanplate.TimedBox(0.75, 0.75, 1.0, 1.0)
    (pointed_at,) = cleanplate.detect(clip, boxes=[box], networks=networks)
    assert pointed_at.kind == "user"
    rows, columns = np.nonzero(pointed_at.mask > 0.5)
    assert (columns.min() + pointed_at.box.left, rows.min() + pointed_at.box.top) == (96, 72)
    assert (columns.max() + pointed_at.box.left, rows.max() + pointed_at.box.top) == (WIDTH - 1, HEIGHT - 1)
    kinds = {placement.kind for placement in cleanplate.detect(clip, boxes=[box], detect=True, networks=networks)}
    assert kinds == {"user", "overlay"}
    assert cleanplate.detect(clip, detect=False, networks=networks) == ()


def test_limits_may_be_given(clip: Path, networks: cleanplate.Networks) -> None:
    with pytest.raises(cleanplate.TooLong):
        cleanplate.detect(clip, limits=cleanplate.Limits(duration_seconds=0.1), networks=networks)


def test_wrong_arguments_are_refused_before_any_work(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "clean.mp4"
    for call, said in (
        (lambda: cleanplate.clean(tmp_path / "gone.mp4", target), "gone.mp4: no such file"),
        (lambda: cleanplate.clean(clip, clip), "in.mp4 would overwrite its source"),
        (lambda: cleanplate.clean(clip, target, mask=tmp_path / "gone.png"), "gone.png: no such file"),
        (lambda: cleanplate.detect(clip, classes=["logo"]), "unknown class 'logo'; choose from overlay, scene_text"),
        (lambda: cleanplate.detect(clip, classes=[]), "no class to look for"),
    ):
        with pytest.raises(cleanplate.RequestError, match=said):
            call()
    assert not target.exists()
