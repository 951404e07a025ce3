"""The changes of the inpainter's windows, and what they leave unchanged."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation
from benchmarks.ablation import CHANGES, WHOLE, Trial, markdown, trials, with_change
from benchmarks.cases import Case, find_cases
from models.spec import INPAINTER
from service.inference import fake
from service.inference.batcher import Arrays, Batcher, Session

ENCODED = ("luma", "chroma", "filled", "quarter", "eighth")
SIZES = {"batch": 1, "frames": 5, "height": 16, "width": 32}


def window(seed: int = 0) -> Arrays:
    """A window that follows the contract; references 3 and 4 are of another interval. `other` is not an input of the network."""
    rng = np.random.default_rng(seed)
    arrays = {t.name: rng.random(t.sized(SIZES)[1:], np.float32) for t in INPAINTER.inputs}
    mask = np.zeros_like(arrays["mask"])
    mask[:, 4:9, 5:20] = 1
    arrays["chroma"][:, 2] = 1
    arrays["chroma"][:3, 2, 2:5, 2:10] = 0
    arrays["shift"][0] = 0
    return arrays | {"mask": mask, "opacity": arrays["opacity"] * mask, "other": rng.random(7, np.float32)}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_keeps_the_target_the_shapes_and_unknown_inputs(name: str) -> None:
    before = window()
    after = CHANGES[name](before)
    assert list(after) == list(before)
    assert {k: (v.shape, v.dtype) for k, v in after.items()} == {k: (v.shape, v.dtype) for k, v in before.items()}
    assert np.array_equal(after["other"], before["other"])
    assert np.array_equal(after["frame"], before["frame"])
    assert np.array_equal(after["mask"], before["mask"])
    assert all(np.array_equal(after[name][0], before[name][0]) for name in ENCODED)
    assert all(np.array_equal(array, window()[k]) for k, array in before.items())


def test_without_time_there_is_only_the_target() -> None:
    after = ablation.without_time(window())
    for name in (*ENCODED, "shift"):
        assert all(np.array_equal(array, after[name][0]) for array in after[name])


def test_without_jumps_the_references_of_the_interval_remain() -> None:
    before, after = window(), ablation.without_jumps(window())
    assert all(np.array_equal(after[name][:3], before[name][:3]) for name in ENCODED)
    assert all(np.array_equal(after[name][i], before[name][0]) for name in ENCODED for i in (3, 4))


def test_without_unblending_a_mark_is_opaque_in_every_frame() -> None:
    before, after = window(), ablation.without_unblending(window())
    assert np.array_equal(after["opacity"], before["mask"])
    assert np.array_equal(after["frame"], before["frame"])


def test_misleading_references_keep_their_own_trust() -> None:
    before, after = window(), ablation.with_misleading_references(window())
    upright = ablation.with_misleading_references(after)
    assert not np.array_equal(after["luma"][1], before["luma"][1])
    assert all(np.array_equal(upright[name], before[name]) for name in before)
    assert np.array_equal(after["chroma"][1:], before["chroma"][1:, :, ::-1, ::-1])


class MeanOfFrames(Session):
    """Returns the mean luma of all frames of a window."""

    def run(self, inputs: Arrays) -> Arrays:
        return {"clean": inputs["luma"].mean(1)}


def test_the_network_gets_the_changed_windows() -> None:
    plain = fake.networks()
    networks = replace(plain, inpainter=Batcher(MeanOfFrames()))
    windows = [window(seed) for seed in range(11)]
    changed = with_change(networks, ablation.without_time)
    answers = changed.inpainter.run(windows)
    assert len(answers) == 11
    for answer, original in zip(answers, windows, strict=True):
        np.testing.assert_allclose(answer["clean"], original["luma"][0], rtol=1e-6)
    assert changed.segmenter is plain.segmenter
    for one in (plain, networks, changed):
        one.close()


def test_trials_are_marked_clips_with_the_marks_of_the_benchmark(clips: Path, photos: Path) -> None:
    cases = [*find_cases(clips, ["smooth"], ["faint", "clean"], 8, 128), *find_cases(photos, [], ["faint"], 8, 128)]
    chosen = trials(cases, ["no time"])
    assert chosen == {"no time": [Trial("smooth.mp4", "faint", 8, 128, "no time")]}
    assert chosen["no time"][0].seed == Case("smooth.mp4", "faint").seed
    assert str(chosen["no time"][0]) == "smooth.mp4 faint, no time"
    assert set(trials(cases, [])) == set(CHANGES)
    with pytest.raises(ValueError, match="unknown change nonsense"):
        trials(cases, ["nonsense"])


def test_the_table_compares_a_clip_with_itself() -> None:
    stamp = {"commit": "0123456789abcdef", "dirty": False, "cpu": "a CPU", "cores": 2, "gpu": None, "date": "2025-01-02T03:04:05+00:00"}
    gains = {("a", WHOLE): 4.0, ("b", WHOLE): 2.0, ("a", "no time"): 1.0, ("b", "no time"): None, ("c", "no time"): -9.0}
    records = [
        {"case": asdict(Trial(clip, "faint", change=change)), "figures": {"gain": gain}, "stamp": stamp}
        for (clip, change), gain in gains.items()
    ]
    assert "| faint (2) | +3.0 | -3.00 | - | - | - |" in markdown(records)
