"""The recorder of decisions: grouped by subject, from any thread, and nothing by default."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from service.pipeline.marks.decisions import UNRECORDED, Decisions, Subject


def test_the_document_groups_decisions_by_subject_in_the_order_of_the_steps() -> None:
    decisions = Decisions()
    decisions.about("mark", 0).of_part(1)("transmittance", np.float32(0.0712345678), 0.19, "hides")
    decisions.about("candidate", 10)("pixels of the mark", 16, 23.04, "dropped")
    decisions.about("candidate", 2)("confidence", None, None, "confirmed")
    document = json.loads(json.dumps(decisions.to_json()))
    assert [subject["id"] for subject in document["subjects"]] == ["candidate 2", "candidate 10", "mark 0"]
    assert document["subjects"][1]["decisions"] == [
        {"question": "pixels of the mark", "measured": 16, "threshold": 23.04, "outcome": "dropped"}
    ]
    (entry,) = document["subjects"][2]["decisions"]
    assert (entry["part"], entry["measured"]) == (1, 0.0712346)


def test_decisions_of_many_threads_are_all_kept_each_subjects_in_order() -> None:
    decisions = Decisions()

    def note_all(number: int) -> None:
        for k in range(200):
            decisions.about("candidate", number)("step", k, None, "kept")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note_all, range(8)))
    for number in range(8):
        assert [decision.measured for decision in decisions.of(Subject("candidate", number))] == list(range(200))


def test_by_default_nothing_is_kept() -> None:
    UNRECORDED.about("mark", 0)("confidence", 1, 0.5, "kept")
    assert UNRECORDED.to_json()["subjects"] == []
