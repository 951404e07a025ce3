"""The sweep: its cases, what it still has to do, the figures of a change, and the table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results, sweep, sweep_table
from benchmarks.cases import Case
from benchmarks.constants import Code, Constant, hand_set, sources
from benchmarks.machine import RESULTS
from benchmarks.rehearsal import Changed, Outcome
from benchmarks.sweep import Bench, Setup, case_set, figures, table, waiting

STAMP = {"commit": "0123456789abcdef", "dirty": False, "cpu": "a CPU", "cores": 2, "gpu": None, "date": "2025-01-02T03:04:05+00:00"}


def test_each_kind_has_a_case_of_which_the_folder_has_the_clip(tmp_path: Path) -> None:
    for folder in ("clips", "photos"):
        (tmp_path / folder).mkdir()
    for case in sweep.CASES:
        (tmp_path / ("photos" if case.is_photo else "clips") / case.clip).touch()
    assert case_set(tmp_path) == sweep.CASES
    assert {case.kind for case in sweep.CASES} == {"moving", "corner", "faint", "tiled", "subtitle", "clean"}
    assert [case.kind for case in case_set(tmp_path, ["tiled"])] == ["tiled", "tiled"]
    (tmp_path / "clips" / sweep.CASES[0].clip).unlink()
    assert case_set(tmp_path) == sweep.CASES[1:]
    with pytest.raises(ValueError, match="no case"):
        case_set(tmp_path, ["nonsense"])


def test_what_was_swept_with_this_code_and_these_cases_is_not_done_again(tmp_path: Path) -> None:
    setup = Setup(tmp_path, (Case("a.mp4", "moving", 75, 360),), tmp_path)
    tasks = waiting(["x.ONE", "x.TWO"], setup, [], "code")
    assert [(task["constant"], task["percent"]) for task in tasks] == [
        ("", 0),
        ("x.ONE", -25),
        ("x.ONE", 25),
        ("x.TWO", -25),
        ("x.TWO", 25),
    ]
    done = [{"case": task, "stamp": {"code": "code"}} for task in tasks[:3]]
    assert waiting(["x.ONE", "x.TWO"], setup, done, "code") == tasks[3:]
    assert waiting(["x.ONE", "x.TWO"], setup, done, "other") == tasks
    assert waiting(["x.ONE"], Setup(tmp_path, (Case("b.mp4", "moving", 75, 360),), tmp_path), done, "code") != []


@dataclass
class Fixed:
    """Stands in for a rehearsal; the effect of a change is given."""

    case: Case
    outcome: Outcome
    change: Changed | Exception

    def with_constant(self, _: Constant, __: object) -> Changed:
        if isinstance(self.change, Exception):
            raise self.change
        return self.change


@pytest.fixture(scope="module")
def known() -> Code:
    return sources()


def test_the_figures_of_a_change_are_means_by_kind(known: Code) -> None:
    before, after = Outcome(30.0, 1.0, 0.0), Outcome(29.0, 0.5, 0.0)
    clean = Outcome(None, None, 0.0)
    fixed: list[Any] = [
        Fixed(Case("a.mp4", "faint"), before, Changed(("measure",), same=False, outcome=after)),
        Fixed(Case("b.mp4", "faint"), before, Changed(("locate", "measure"), same=True, outcome=before)),
        Fixed(Case("c.jpg", "faint"), before, Changed((), same=False, outcome=before)),
        Fixed(Case("d.mp4", "clean"), clean, Changed((), same=False, outcome=Outcome(None, None, 0.001))),
        Fixed(Case("e.mp4", "tiled"), before, ZeroDivisionError("division by zero")),
    ]
    constant = hand_set(known)[0]
    found = figures(Bench(fixed, known), constant, 25)
    assert found["kinds"] == {
        "faint": {"cases": 2, "same": 1, "db": -0.5, "found": -0.25, "touched": 0.0},
        "faint, photo": {"cases": 1, "same": 0, "db": 0.0, "found": 0.0, "touched": 0.0},
        "clean": {"cases": 1, "same": 0, "db": None, "found": None, "touched": 0.001},
    }
    assert found["steps"] == ["locate", "measure"]
    assert found["errors"] == {"e.mp4 tiled": "ZeroDivisionError: division by zero"}
    assert found["from"] != found["to"]
    assert sweep_table.said(found) == (
        "faint -0.50 dB found -25.0%; faint, photo +0.00 dB; clean touched +0.100%; FAILS on e.mp4 tiled (ZeroDivisionError)"
    )


def record(
    constant: str, percent: int, kinds: dict[str, tuple[int, float | None]], steps: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    changes = {
        kind: {"cases": 1, "same": same, "db": db, "found": None if db is None else 0.0, "touched": 0.0}
        for kind, (same, db) in kinds.items()
    }
    values = {"from": "4", "to": str(4 + percent // 25), "note": "", "steps": list(steps), "kinds": changes, "errors": {}, "seconds": 1.0}
    return {"case": {"constant": constant, "percent": percent, "cases": [], "height": 360}, "figures": values | more, "stamp": STAMP}


def test_the_table_has_what_changes_first_and_what_does_not_apart() -> None:
    plain = {
        "cases": {"a.mp4 faint": {"db": 30.0, "found": 0.5, "touched": 0.0}, "b.mp4 clean": {"db": None, "found": None, "touched": 0.0}}
    }
    still, clean = {"faint": (1, 0.0), "clean": (1, None)}, (1, None)
    records = [
        {"case": {"constant": "", "percent": 0, "cases": [], "height": 360}, "figures": plain, "stamp": STAMP},
        record("service.pipeline.a.LITTLE", -25, {"faint": (0, 0.01), "clean": clean}),
        record("service.pipeline.a.LITTLE", 25, still),
        record("service.pipeline.a.MUCH", -25, still, note="kept below 1"),
        record("service.pipeline.a.MUCH", 25, {"faint": (0, -2.0), "clean": clean}),
        record("service.pipeline.a.NEVER", -25, still),
        record("service.pipeline.a.NEVER", 25, still),
        record("service.pipeline.a.READ", -25, still, ("measure",)),
        record("service.pipeline.a.BREAKS", 25, still, errors={"a.mp4 faint": "ValueError: no"}),
    ]
    text = sweep_table.markdown(records)
    lines = text.splitlines()
    counts = "2 change nothing; 1 change some figure, but by less than 0.05 dB in any kind."
    assert lines[0] == f"5 constants, each a quarter less and a quarter more. {counts}"
    assert "| a.mp4 faint | 30.00 | 50.0% | 0.000% |" in text
    assert "| b.mp4 clean | - | - | 0.000% |" in text
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == ["a.BREAKS", "a.MUCH", "a.LITTLE", "a.NEVER", "a.READ"]
    assert "| `a.MUCH` | 4 | 3 (kept below 1) | +0.00 | +0.0% | no effect | 5 | -2.00 | +0.0% | faint -2.00 dB |" in lines
    assert "| `a.BREAKS` | 4 | not measured | - | - | - | 5 | +0.00 | +0.0% | FAILS on a.mp4 faint (ValueError) |" in lines
    assert "| `a.NEVER` | 4 | 3 | 5 | never |" in lines
    assert "| `a.READ` | 4 | 3 | not measured | measure |" in lines
    assert lines[-1] == "Measured on 2 cores of a CPU, commit 0123456789, 2025-01-02."
    tables = [[line.count("|") for line in part.splitlines() if line.startswith("|")] for part in text.split("\n\n")]
    assert all(len(set(counts)) == 1 for counts in tables if counts)


def test_a_line_for_a_person() -> None:
    changed = record("service.pipeline.a.MUCH", 25, {"faint": (0, -2.0)})
    assert sweep_table.line(changed["case"], changed["figures"]) == "service.pipeline.a.MUCH 4 -> 5: faint -2.00 dB  (1.0 s)"
    assert sweep.label(Case("a.jpg", "faint")) == "faint, photo"


def test_every_constant_of_the_pipeline_has_its_row_in_the_sweep() -> None:
    swept = {record["case"]["constant"] for record in results.read(RESULTS / "sweep.jsonl")}
    assert not {str(constant) for constant in hand_set(sources()) if not str(constant).startswith("models.")} - swept


def test_the_table_of_all_constants_has_those_of_earlier_runs() -> None:
    """What is written beside the results does not depend on which constants were asked for last."""
    setup = Setup(Path(), (Case("a.mp4", "moving", 75, 360),), Path())
    found = {"from": "1", "to": "2", "note": "", "steps": [], "kinds": {}, "errors": {}, "seconds": 1.0}
    tasks = waiting(["x.ONE", "x.TWO"], setup, [], "code")[1:]
    records = [{"case": task, "figures": found, "stamp": STAMP} for task in tasks]
    assert all(name in table(["x.ONE", "x.TWO"], setup, records) for name in ("x.ONE", "x.TWO"))
    assert "x.TWO" not in table(["x.ONE"], setup, records)
