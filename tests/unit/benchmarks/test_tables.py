"""Tables and plots: the arithmetic of the means, and that equal results give equal files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import documents, goals, plot, results, speed_table, summary
from benchmarks.machine import RESULTS
from benchmarks.memory import Usage
from benchmarks.rows import CleanRow, Row, sections
from benchmarks.rows import clean_row as clean_row_of
from benchmarks.rows import rows_of as rows_of_section
from benchmarks.speed import medians

STAMP = {"commit": "0123456789abcdef", "dirty": False, "cpu": "a CPU", "cores": 2, "gpu": None, "date": "2025-01-02T03:04:05+00:00"}


def scores(hole: float | None, flicker: float | None = 1.0, ghost: float | None = 0.0) -> dict[str, Any]:
    return {"hole": hole, "outside": 40.0, "flicker": flicker, "ghost": ghost, "ssim": 0.9}


def rows_of(records: Sequence[results.Record]) -> list[Row]:
    (section,) = sections(records)
    return rows_of_section(section)


def clean_row(records: Sequence[results.Record], photos: bool = False) -> CleanRow | None:
    (section,) = sections(records)
    return clean_row_of(section, photos)


def record(
    kind: str,
    ours: dict[str, Any] | None,
    telea: float | None = 20.0,
    clip: str = "a.mp4",
    split: str = "eval",
    height: int = 360,
    given: str = "",
    **changes: Any,
) -> dict[str, Any]:
    references = (
        {} if kind == "clean" else {"marked": scores(10.0), "telea": scores(telea), "navier_stokes": scores(19.0), "delogo": scores(15.0)}
    )
    gain = None if ours is None or ours["hole"] is None else ours["hole"] - 20
    figures = {
        "references": references, "ours": ours, "gain": gain, "best_baseline": 20.0, "envelope": 30.0, "plain_outside": 40.05,
        "found": {"f1_share": 1.0, "masked_share": 0.0, "longest_miss_frames": 0},
        "fps": 6.0, "frames_equal": True, "pts_equal": True, "audio_equal": True,
    }  # fmt: skip
    return {
        "case": {"clip": clip, "kind": kind, "split": split, "height": height, "given": given},
        "figures": figures | changes,
        "stamp": STAMP,
    }


def test_a_row_holds_the_means_over_clips() -> None:
    (row,) = rows_of([record("faint", scores(24.0, 0.9, -0.2)), record("faint", scores(19.0, None, 0.1), pts_equal=False)])
    assert (row.clips, row.ours, row.gain, row.worst_gain, row.telea, row.oracle) == (2, 21.5, 1.5, -1.0, 20.0, None)
    assert (row.flicker, row.ghost, row.streams_equal) == (0.9, pytest.approx(0.15), False)
    assert row.outside_loss == pytest.approx(0.05)


def test_rows_come_in_the_order_of_the_kinds_and_clean_apart() -> None:
    records = [record(kind, scores(None if kind == "clean" else 25.0)) for kind in ("subtitle", "clean", "moving")]
    assert [row.kind for row in rows_of(records)] == ["moving", "subtitle"]
    assert clean_row(records[:1]) is None


def test_photos_have_rows_of_their_own() -> None:
    records = [record("faint", scores(30.0)), record("faint", scores(20.0), clip="b.jpg"), record("clean", scores(None), clip="b.jpg")]
    assert [(row.label, row.clips, row.ours) for row in rows_of(records)] == [("faint", 1, 30.0), ("faint, photos", 1, 20.0)]
    assert clean_row(records) is None
    assert clean_row(records, photos=True) is not None
    assert "| faint, photos (1) |" in summary.markdown(records)
    assert "Clean photos: 0.0000%" in summary.markdown(records)


PERFECT = {"moving": 30.5, "moving_name": 30.5, "corner": 22.0, "faint": 30.0, "tiled": 30.5, "subtitle": 26.0, "subtitle_chinese": 26.0}


@pytest.mark.parametrize("kind", PERFECT)
def test_goals_are_reached_from_their_figures_on(kind: str) -> None:
    def missed(hole: float, **changes: Any) -> list[str]:
        (row,) = rows_of([record(kind, scores(hole), **changes)])
        return goals.missed(row)

    least = goals.GOALS[kind].found_share
    assert missed(PERFECT[kind], found={"f1_share": least, "masked_share": 0.0, "longest_miss_frames": 0}) == []
    assert missed(PERFECT[kind] - 0.01) == ["PSNR"]
    assert missed(PERFECT[kind], found={"f1_share": least - 0.001, "masked_share": 0.0, "longest_miss_frames": 1}) == ["found", "misses"]
    assert missed(PERFECT[kind], gain=-0.1, pts_equal=False) == ["worst clip", "streams"]


def test_a_ghost_of_either_sign_and_a_smear_miss_the_goal() -> None:
    for flicker, ghost, expected in ((0.9, -0.049, []), (1.15, 0.0, []), (0.89, 0.0, ["flicker"]), (1.16, -0.05, ["flicker", "ghost"])):
        (row,) = rows_of([record("faint", scores(31.0, flicker, ghost))])
        assert goals.missed(row) == expected


def test_a_record_older_than_a_figure_leaves_its_goal_open() -> None:
    old = record("faint", scores(31.0), found={"f1_share": 1.0, "masked_share": 0.0})
    assert "| no: misses? |" in summary.markdown([old, record("faint", scores(31.0))])


def test_the_results_of_the_past_can_still_be_read() -> None:
    kept = results.latest(results.read(RESULTS / "quality.jsonl"))
    text = summary.markdown(kept)
    for section in sections(kept):
        assert f"### {section.label}\n" in text
        assert all(f"| {row.label} ({row.clips}) |" in text for row in rows_of_section(section))


def test_splits_and_sizes_have_separate_tables() -> None:
    places = [("test", 360), ("eval", 1080), ("eval", 360), ("test", 360)]
    records = [record("faint", scores(float(20 + i)), split=split, height=height) for i, (split, height) in enumerate(places)]
    parts = sections(records)
    assert [part.label for part in parts] == ["eval at 360 lines", "eval at 1080 lines", "test at 360 lines"]
    assert [[(row.clips, row.ours) for row in rows_of_section(part)] for part in parts] == [[(1, 22.0)], [(1, 21.0)], [(2, 21.5)]]
    assert [line for line in summary.markdown(records).splitlines() if line.startswith("###")] == [f"### {part.label}" for part in parts]


def test_what_a_person_points_at_has_rows_of_its_own_without_a_goal() -> None:
    records = [
        record("glyph", scores(25.0)),
        record("faint", scores(24.0), given="mask", stained_share=0.02),
        record("faint", scores(21.0)),
    ]
    rows = rows_of(records)
    assert [(row.label, row.ours, row.stained_share) for row in rows] == [
        ("faint", 21.0, None), ("glyph", 25.0, None), ("faint, mask given", 24.0, 0.02)
    ]  # fmt: skip
    assert [goals.has_goal(row) for row in rows] == [True, False, False]
    text = summary.markdown(records)
    assert "| faint, mask given (1) |" in text
    assert "| 2.00% |" in text


def test_how_much_is_still_read_stands_beside_what_was_read_before() -> None:
    read = {"marked": 1.0, "cleaned": 0.25}
    records = [record("faint", scores(24.0), readable=read), record("faint", scores(24.0)), record("glyph", scores(24.0), readable=None)]
    assert [(row.readable, row.readable_marked) for row in rows_of(records)] == [(0.25, 1.0), (None, None)]
    assert "| 25.0% of 100.0% |" in summary.markdown(records)


def test_a_record_older_than_the_splits_is_of_eval(tmp_path: Path) -> None:
    old = record("faint", scores(20.0))
    del old["case"]["split"], old["case"]["given"]
    other = {"case": {"question": "idle"}, "figures": {}, "stamp": STAMP}
    (tmp_path / "quality.jsonl").write_text(f"{json.dumps(old)}\n{json.dumps(other)}\n")
    read = results.read(tmp_path / "quality.jsonl")
    assert read[0]["case"]["split"] == "eval"
    assert read[1] == other
    assert len(results.latest([*read[:1], record("faint", scores(21.0))])) == 1


def test_a_case_without_a_result_leaves_the_others_counting() -> None:
    (row,) = rows_of([record("tiled", None, frames_equal=False), record("tiled", scores(23.0))])
    assert (row.ours, row.gain, row.streams_equal) == (23.0, 3.0, False)


def test_clean_clips_are_counted_by_pixels_and_by_clips() -> None:
    shares = (0.0, 0.0, 0.0003)
    clean = clean_row([record("clean", scores(None), found={"f1_share": None, "masked_share": share}) for share in shares])
    assert clean is not None
    assert (clean.clips, clean.untouched_clips, clean.masked_share) == (3, 2, pytest.approx(0.0001))


def test_the_table_is_whole_and_says_where_it_was_measured() -> None:
    text = summary.markdown([record("moving", scores(25.0)), record("clean", scores(None))])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 6
    assert all(len({line.count("|") for line in table}) == 1 for table in (rows[:3], rows[3:]))
    assert "**25.0** | **+5.0** | 30.5 | +5.0 |" in text
    assert "| 100.0% | 0 | - | - | -0.05 | 1.00 |" in text
    assert "| no: PSNR |" in text
    assert "Clean clips: 0.0000% of the pixels masked, none in 1 of 1 (goal: under 0.005%, reached)." in text
    assert "Measured on 2 cores of a CPU, commit 0123456789, 2025-01-02." in text


def runs() -> tuple[list[tuple[dict[str, Any], Usage]], list[tuple[dict[str, Any], Usage]]]:
    ours = [
        (
            {"seconds": s, "load_seconds": 1.0, "frames": 300, "placements": 1, "steps": {"locate": s / 2}, "maxrss_bytes": 5},
            Usage("", s, peak, 9),
        )
        for s, peak in ((40.0, 7), (50.0, 9), (90.0, 8))
    ]
    plain = [({"seconds": s, "frames": 300, "maxrss_bytes": 2}, Usage("", s, 3, 9)) for s in (3.0, 2.0, 9.0)]
    return ours, plain


def test_speed_is_the_median_and_memory_the_peak() -> None:
    speed = medians(*runs())
    assert (speed.runs, speed.seconds, speed.fps, speed.step_seconds) == (3, 50.0, 6.0, {"locate": 25.0})
    assert (speed.transcode_seconds, speed.transcode_fps, speed.ratio) == (3.0, 100.0, pytest.approx(50 / 3))
    assert (speed.peak_bytes, speed.peak_process_bytes, speed.transcode_peak_bytes) == (9, 5, 3)


def speed_record() -> dict[str, Any]:
    figures = {"fps": 6.0, "seconds": 50.0, "step_seconds": {"locate": 25.0}, "transcode_fps": 100.0, "ratio": 16.7, "peak_bytes": 2**30}
    return {"case": {"height": 720, "seconds": 10, "device": "cpu"}, "figures": figures, "stamp": STAMP}


def test_the_speed_table() -> None:
    text = speed_table.markdown([speed_record()])
    assert "| 720p, 10 s | cpu | **6.0** | 50.0 | 25.0 | 100.0 | 16.7 | 1.00 |" in text
    assert speed_table.line(speed_record()["case"], speed_record()["figures"]).endswith("peak 1.00 GiB")


def test_plots_of_equal_results_are_equal_bytes(tmp_path: Path) -> None:
    parts = sections([record("moving", scores(25.0)), record("subtitle_chinese", None, envelope=None), record("moving", None, height=720)])
    for name in ("a", "b"):
        plot.plot_quality(parts, tmp_path / f"{name}_quality.svg")
        plot.plot_speed([speed_record()], tmp_path / f"{name}_speed.svg")
    for name in ("quality", "speed"):
        text = (tmp_path / f"a_{name}.svg").read_text()
        assert text == (tmp_path / f"b_{name}.svg").read_text()
        assert "<svg" in text


def test_figures_go_between_their_marks() -> None:
    text = "# A\n<!-- table -->\nold\nlines\n<!-- /table -->\nat <!-- = fps -->1.0<!-- = --> frames, <!-- = ours -->2<!-- = --> dB\n"
    once = documents.filled(text, {"table": "new\n", "elsewhere": "x\n"}, {"fps": "6.0", "ours": "25.0"})
    assert once == "# A\n<!-- table -->\nnew\n<!-- /table -->\nat <!-- = fps -->6.0<!-- = --> frames, <!-- = ours -->25.0<!-- = --> dB\n"
    assert documents.filled("no marks", {"table": "new\n"}, {}) == "no marks"
    with pytest.raises(KeyError):
        documents.filled(text, {}, {"fps": "6.0"})


def test_the_short_tables_are_of_one_size_and_one_split() -> None:
    other = record("moving", scores(99.0))
    others = [other | {"case": other["case"] | change} for change in ({"height": 1080}, {"height": 360, "split": "test"})]
    lines = documents.quality_table([record("moving", scores(25.0)), record("clean", scores(None)), *others])
    assert lines[2:] == [
        "| moving | 1 | 20.0 | **25.0** | +5.0 | +5.0 | 100.0% |",
        "",
        "Without a mark, left untouched: 1 of 1 clips. Measured 2025-01-02 on 2 cores of a CPU, at commit 0123456.",
    ]
    assert documents.speed_short([speed_record()])[2] == "| 720p, 10 s | cpu | **6.0** | 16.7 | 1.00 | 2025-01-02 |"


def test_results_are_written_into_the_documents_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("<!-- speed in short -->\n<!-- /speed in short -->\n")
    (tmp_path / "docs" / "a.md").write_text("<!-- = speed.720p_10s.cpu.fps --><!-- = -->")
    (tmp_path / "speed.jsonl").write_text(json.dumps(speed_record()) + "\n")
    documents.write(tmp_path, tmp_path)
    assert "| 720p, 10 s | cpu | **6.0** |" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "docs" / "a.md").read_text() == "<!-- = speed.720p_10s.cpu.fps -->6.0<!-- = -->"
