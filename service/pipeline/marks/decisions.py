"""Why candidates became marks or not: every decision, with what was measured and the threshold it was compared with. Pure.

Each step takes a recorder as an argument. By default it is `UNRECORDED`, which keeps nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any, Final, Literal

from service.pipeline.marks.candidate import Candidate

FORMAT_VERSION: Final = 1
KINDS: Final = ("track", "candidate", "mark")  # in the order in which a run decides about them


@dataclass(frozen=True)
class Subject:
    """What a decision is about. A mark has the number of the candidate whose place shows most of it."""

    kind: Literal["track", "candidate", "mark"]
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


@dataclass(frozen=True)
class Decision:
    """One decision. measured, threshold: in the unit that the question names; None where the question is not about a number."""

    question: str
    measured: float | None
    threshold: float | None
    outcome: str
    part: int | None = None  # of a mark, such as its word; None for the whole


class Decisions:
    """Collects the decisions of one run, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._noted: dict[Subject, list[Decision]] = {}

    def note(
        self, subject: Subject, question: str, measured: float | None, threshold: float | None, outcome: str, part: int | None = None
    ) -> None:
        """Keep one decision about a subject."""
        decision = Decision(question, _rounded(measured), _rounded(threshold), outcome, part)
        with self._lock:
            self._noted.setdefault(subject, []).append(decision)

    def about(self, kind: Literal["track", "candidate", "mark"], number: int) -> "Notes":
        """A recorder for one subject."""
        return Notes(self, Subject(kind, number))

    def of(self, subject: Subject) -> tuple[Decision, ...]:
        """The decisions about a subject, in the order in which they were made."""
        with self._lock:
            return tuple(self._noted.get(subject, ()))

    def to_json(self) -> dict[str, Any]:
        """The document that `decisions.json` holds: the subjects in the order of the steps, each with its decisions."""
        with self._lock:
            noted = {subject: tuple(decisions) for subject, decisions in self._noted.items()}
        ordered = sorted(noted, key=lambda subject: (KINDS.index(subject.kind), subject.number))
        return {"version": FORMAT_VERSION, "subjects": [_subject_json(subject, noted[subject]) for subject in ordered]}


@dataclass(frozen=True)
class Notes:
    """Records decisions about one subject, or about one part of it."""

    decisions: Decisions
    subject: Subject
    part: int | None = None

    def __call__(self, question: str, measured: float | None, threshold: float | None, outcome: str) -> None:
        self.decisions.note(self.subject, question, measured, threshold, outcome, self.part)

    def of_part(self, part: int) -> "Notes":
        """A recorder for one part of the subject, by its number."""
        return Notes(self.decisions, self.subject, part)


class _Unrecorded(Decisions):
    def note(
        self, subject: Subject, question: str, measured: float | None, threshold: float | None, outcome: str, part: int | None = None
    ) -> None:
        """Keep nothing."""


UNRECORDED: Final[Decisions] = _Unrecorded()
UNNOTED: Final = UNRECORDED.about("mark", 0)


def note_candidates(decisions: Decisions, candidates: Sequence[Candidate]) -> None:
    """Note where each candidate was found, and how: the start of its story."""
    for number, candidate in enumerate(candidates):
        box, origin = candidate.box, type(candidate.origin).__name__
        place = f"frames {candidate.first_sample} to {candidate.last_sample}, box {box.left},{box.top},{box.right},{box.bottom}"
        state = "confirmed" if candidate.confirmed else "unconfirmed"
        decisions.about("candidate", number)("confidence as located", candidate.confidence, None, f"{state}: {origin}, {place}")


def _subject_json(subject: Subject, decisions: tuple[Decision, ...]) -> dict[str, Any]:
    entries = [{name: value for name, value in asdict(decision).items() if name != "part" or value is not None} for decision in decisions]
    return {"id": str(subject), "decisions": entries}


def _rounded(value: float | None) -> float | None:
    """Six significant digits, as a plain float."""
    return None if value is None else float(f"{float(value):.6g}")
