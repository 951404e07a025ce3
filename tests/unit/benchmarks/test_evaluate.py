"""A run of cases with a program that is known: figures, the result file, and going on after a break."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import av
import pytest

from benchmarks import results
from benchmarks.cases import Case, Scene, prepare
from benchmarks.evaluate import Setup, evaluate, line, measure, reference_scores, rounded
from benchmarks.machine import stamp
from benchmarks.transcode import transcode
from service.errors import DecodeFailed
from service.pipeline.placement import Placement
from training.vocabulary import Vocabulary

MakeScene = Callable[[str, str], Scene]


def copy(source: Path, target: Path, _region: object = None) -> tuple[Placement, ...]:
    """A program that finds nothing."""
    shutil.copyfile(source, target)
    return ()


def drop_a_frame(source: Path, target: Path, _region: object = None) -> tuple[Placement, ...]:
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        packets = [packet for packet in reader.demux(video=0) if packet.dts is not None]
        for packet in packets[:-1]:
            packet.stream = stream
            writer.mux(packet)
    return ()


def test_a_program_that_does_nothing(scene: MakeScene, tmp_path: Path) -> None:
    made = scene("drifting", "corner")
    figures = evaluate(made, copy, copy, tmp_path)
    assert figures.ours is not None
    assert figures.ours.hole == figures.references["marked"].hole
    assert figures.gain == figures.ours.hole - max(figures.references[name].hole for name in ("telea", "navier_stokes", "delogo"))
    assert figures.gain < -3
    assert figures.ours.outside == figures.plain_outside
    assert (figures.found.f1_share, figures.placements) == (0, 0)
    assert (figures.frames_equal, figures.pts_equal, figures.audio_equal) == (True, True, True)
    assert figures.fps == pytest.approx(made.frames / figures.seconds)
    assert "gain -" in line(Case("drifting.mp4", "corner"), figures)


def test_the_envelope_is_the_better_of_oracle_and_baseline(scene: MakeScene, tmp_path: Path) -> None:
    textured = evaluate(scene("drifting", "faint"), copy, copy, tmp_path)
    opaque = evaluate(scene("drifting", "corner"), copy, copy, tmp_path)
    assert textured.envelope == textured.references["oracle"].hole
    assert opaque.envelope == opaque.best_baseline
    assert "oracle" not in opaque.references


def test_a_photo_is_measured_like_a_clip_of_one_frame(photos: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    made = prepare(Case("rough.png", "faint", 1, 128), photos, vocabulary, tmp_path)
    figures = evaluate(made, copy, transcode, tmp_path)
    assert figures.ours is not None
    assert figures.ours.hole == figures.references["marked"].hole
    assert set(figures.references) == {"marked", "telea", "navier_stokes", "oracle"}
    assert figures.envelope == figures.references["oracle"].hole
    assert (figures.ours.flicker, figures.found.longest_miss_frames, figures.frames) == (None, 1, 1)
    assert figures.plain_outside == pytest.approx(figures.ours.outside, abs=1.5)
    assert (figures.frames_equal, figures.pts_equal, figures.audio_equal) == (True, True, True)


def test_a_lost_frame_and_lost_sound_are_noticed(scene: MakeScene, tmp_path: Path) -> None:
    figures = evaluate(scene("drifting", "corner"), drop_a_frame, copy, tmp_path)
    assert (figures.frames_equal, figures.pts_equal, figures.audio_equal) == (False, False, False)
    assert figures.ours is None
    assert figures.gain is None


def test_scores_of_the_baselines_are_kept(scene: MakeScene, tmp_path: Path) -> None:
    made = scene("drifting", "corner")
    first = reference_scores(made, tmp_path)
    assert reference_scores(made, tmp_path) == first
    (kept,) = tmp_path.iterdir()
    changed = {name: asdict(value) | {"hole": 12.5} for name, value in first.items()}
    kept.write_text(json.dumps(changed))
    assert reference_scores(made, tmp_path)["telea"].hole == 12.5
    assert reference_scores(scene("smooth", "corner"), tmp_path)["telea"].hole != 12.5


def test_a_run_writes_a_line_for_each_case_and_goes_on_where_it_stopped(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    cases = [Case("smooth.mp4", kind, 4, 64) for kind in ("corner", "clean")]
    calls: list[Path] = []

    def count_and_copy(source: Path, target: Path, _region: object = None) -> tuple[Placement, ...]:
        calls.append(source)
        return copy(source, target)

    setup = Setup(clips, vocabulary, count_and_copy, copy, tmp_path / "results" / "quality.jsonl", tmp_path / "cache")
    assert measure(cases[:1], setup) == 0
    assert measure(cases, setup) == 0
    assert measure(cases, setup) == 0
    assert len(calls) == 2
    records = results.read(setup.results)
    assert [record["case"] for record in records] == [asdict(case) for case in cases]
    assert records[0]["figures"]["found"]["f1_share"] == 0
    assert records[1]["figures"]["ours"]["hole"] is None
    assert records[0]["stamp"]["code"] == stamp().code


def test_a_case_that_fails_does_not_stop_the_others(
    clips: Path, vocabulary: Vocabulary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_on_corner(source: Path, target: Path, _region: object = None) -> tuple[Placement, ...]:
        if "corner" in source.name:
            raise DecodeFailed("the decoder died")
        return copy(source, target)

    cases = [Case("smooth.mp4", kind, 4, 64) for kind in ("corner", "clean")]
    setup = Setup(clips, vocabulary, fail_on_corner, copy, tmp_path / "quality.jsonl")
    assert measure(cases, setup) == 1
    assert "smooth.mp4 corner: failed: the decoder died" in capsys.readouterr().out
    assert [record["case"]["kind"] for record in results.read(setup.results)] == ["clean"]


def test_a_line_that_was_broken_off_is_passed_over(tmp_path: Path) -> None:
    path, here = tmp_path / "quality.jsonl", stamp()
    results.append(path, {"clip": "a"}, {}, here)
    whole = path.read_text()
    path.write_text(whole + whole[: len(whole) // 2])
    results.append(path, {"clip": "b"}, {}, here)
    assert [record["case"]["clip"] for record in results.read(path)] == ["a", "b"]


def test_other_code_measures_again_and_the_latest_counts() -> None:
    case = Case("a.mp4", "corner")
    old, new = ({"case": asdict(case), "figures": {"gain": gain}, "stamp": {"code": code}} for gain, code in ((1, "x"), (2, "y")))
    assert results.unfinished([case], [old], "x") == []
    assert results.unfinished([case], [old], "y") == [case]
    assert results.unfinished([Case("a.mp4", "corner", frames=30)], [old], "x") != []
    assert results.latest([old, new]) == [new]


def test_figures_are_rounded_and_have_no_infinity(scene: MakeScene, tmp_path: Path) -> None:
    figures = evaluate(scene("smooth", "clean"), copy, copy, tmp_path)
    values = rounded(figures)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["seconds"] == round(figures.seconds, 4)
