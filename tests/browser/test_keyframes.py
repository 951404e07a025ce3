"""Boxes that move: keyframes are made by dragging or by keys, seen in between, deleted, sent as a path, and read back from a job."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from service.jobs.job import JobSpec
from tests.browser.visitor import Visit, Visitor, words
from tests.footage import FPS
from tests.service_process import Service, TestAccount

EN = words()
THERE_AND_BACK = """async ([box, end, frame, moments]) => {
    const { cornersAt, joined, piecesOf } = await import("/page/keyframes.js");
    const pieces = piecesOf({ kind: "box", ...box }, end, frame);
    const again = joined(pieces.map((piece) => ({ kind: "box", ...piece })));
    return [pieces, again.map((each) => moments.map((at) => cornersAt(each, at))), moments.map((at) => cornersAt(box, at))];
}"""
END_SECONDS, FRAME_SECONDS = 10.0, 1 / 32


@pytest.fixture
def marking(visit: Visit, resident: TestAccount, cleaned_video: str) -> Visitor:
    visitor = visit()
    visitor.enter(resident, cleaned_video)
    visitor.mark()
    return visitor


def go_to(visitor: Visitor, seconds: float) -> None:
    visitor.slider(EN["player.seek"]).fill(str(seconds))


def corners(visitor: Visitor) -> list[float]:
    """The selected box at the time shown, in percent: left, top, right, bottom."""
    found: list[float] = visitor.find("#boxes input").evaluate_all("all => all.slice(0, 4).map((each) => each.valueAsNumber)")
    return found


def run(visitor: Visitor, service: Service, account: TestAccount) -> JobSpec:
    before = visitor.job_id
    visitor.button(EN["draw.run"]).click()
    expect(visitor.page).not_to_have_url(f"{service.url}/#{before}")
    return service.wait(account, visitor.job_id).spec


def test_a_box_dragged_at_other_times_moves_between_them(marking: Visitor, service: Service, resident: TestAccount) -> None:
    marking.draw((0.05, 0.6), (0.25, 0.8))
    marking.page.get_by_label(EN["draw.moves"]).check()
    go_to(marking, 0.8)
    marking.draw((0.15, 0.7), (0.55, 0.7))
    expect(marking.find("#boxes .keyframes .text")).to_have_count(2)
    go_to(marking, 1.6)
    marking.draw((0.55, 0.7), (0.55, 0.2))
    assert corners(marking) == pytest.approx([45, 10, 65, 30], abs=1)
    expect(marking.find("#timeline .keyframe")).to_have_count(3)
    go_to(marking, 0.4)
    assert corners(marking) == pytest.approx([25, 60, 45, 80], abs=1), "half-way between the first two"
    assert coloured(marking, 0.35, 0.6), "and drawn there"
    first, second, *rest = run(marking, service, resident).boxes
    assert first.corners == pytest.approx((0.05, 0.6, 0.25, 0.8), abs=0.01)
    assert first.end == second.corners == pytest.approx((0.45, 0.6, 0.65, 0.8), abs=0.01)
    assert second.end == pytest.approx((0.45, 0.1, 0.65, 0.3), abs=0.01)
    assert [first.first_seconds, first.last_seconds, second.last_seconds] == pytest.approx([0, 0.8, 1.6], abs=0.01)
    assert [box.end for box in rest] == [None], "it rests after the last"
    marking.see_result()
    assert "user" in {placement["kind"] for placement in marking.report()["placements"]}
    marking.mark()
    expect(marking.find("#boxes li")).to_have_count(1)
    marking.find("#boxes li button").first.click()
    go_to(marking, 0.4)
    assert corners(marking) == pytest.approx([25, 60, 45, 80], abs=1), "the next run begins with it"


def coloured(visitor: Visitor, x: float, y: float) -> bool:
    """Whether something is drawn at this place of the picture, in fractions of its size."""
    alpha = "(canvas, [x, y]) => canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3]"
    return bool(visitor.page.get_by_test_id("sketch").evaluate(alpha, [x, y]) > 100)


def test_keyframes_are_deleted_and_changes_undone(marking: Visitor) -> None:
    marking.draw((0.1, 0.1), (0.3, 0.3))
    marking.page.get_by_label(EN["draw.moves"]).check()
    go_to(marking, 1)
    marking.draw((0.12, 0.12), (0.62, 0.62))
    marking.button("Delete the keyframe at 0:00.0").click()
    expect(marking.find("#timeline .keyframe")).to_have_count(1)
    go_to(marking, 0)
    assert corners(marking) == pytest.approx([60, 60, 80, 80], abs=1)
    marking.button(EN["draw.undo"]).click()
    expect(marking.find("#timeline .keyframe")).to_have_count(2)
    marking.find("#timeline .keyframe").first.click()  # selects the box
    assert corners(marking) == pytest.approx([10, 10, 30, 30], abs=1)
    marking.page.get_by_label(EN["draw.moves"]).uncheck()
    expect(marking.find("#timeline .keyframe")).to_have_count(0)
    go_to(marking, 1)
    assert corners(marking) == pytest.approx([10, 10, 30, 30], abs=1), "it rests where it was shown"


def test_the_keyboard_alone_marks_with_keyframes(marking: Visitor, service: Service, resident: TestAccount) -> None:
    keys = marking.page.keyboard
    tab_to(marking, "sketch")
    for key in ("Enter", "ArrowLeft", "Shift+ArrowDown"):
        keys.press(key)
    assert corners(marking) == pytest.approx([39, 40, 59, 61], abs=0.1)
    tab_to(marking, label=EN["draw.moves"])
    moves = marking.page.get_by_label(EN["draw.moves"])
    expect(moves).to_be_focused()
    keys.press("Space")
    expect(moves).to_be_checked()
    tab_to(marking, "sketch")
    for key in [*["."] * 20, *["ArrowRight"] * 3]:
        keys.press(key)
    assert corners(marking) == pytest.approx([42, 40, 62, 61], abs=0.1)
    tab_to(marking, within="timeline")
    for _ in range(marking.find("#timeline button").count()):
        if marking.page.evaluate("() => document.activeElement.matches('.keyframe')"):
            break
        keys.press("ArrowRight")
    expect(marking.find("#timeline .keyframe:focus")).to_have_count(1)
    keys.press("ArrowRight")
    keys.press("Delete")
    expect(marking.find("#timeline .keyframe")).to_have_count(1)
    assert marking.page.evaluate("() => document.activeElement.closest('#timeline') !== null"), "the focus stays"
    keys.press("Control+z")
    expect(marking.find("#timeline .keyframe")).to_have_count(2)
    tab_to(marking, "run-again")
    before = marking.job_id
    keys.press("Enter")
    expect(marking.page).not_to_have_url(f"{service.url}/#{before}")
    boxes = service.wait(resident, marking.job_id).spec.boxes
    assert boxes[0].end == boxes[1].corners == pytest.approx((0.42, 0.4, 0.62, 0.61), abs=0.002)
    assert boxes[0].last_seconds == pytest.approx(20.25 / FPS, abs=0.01)
    marking.see_result()


def tab_to(visitor: Visitor, element: str = "", label: str = "", within: str = "") -> None:
    """Press Tab until the focus is there: at an element, at the control with a label, or within an element."""
    here = """([element, label, within]) => {
        const at = document.activeElement;
        return at.id === element || (label && (at.labels?.[0] ?? at).textContent.trim() === label) || (within && at.closest("#" + within));
    }"""
    for _ in range(200):
        if visitor.page.evaluate(f"given => Boolean(({here})(given))", [element, label, within]):
            return
        visitor.page.keyboard.press("Tab")
    pytest.fail(f"no Tab leads to {element or label or within}")


def boxes() -> st.SearchStrategy[dict[str, object]]:
    share = st.floats(0, 0.4)
    placed = st.builds(lambda x, y: {"x1": x, "y1": y, "x2": x + 0.5, "y2": y + 0.5}, share, share)
    steps = st.lists(st.tuples(st.integers(2, 50), placed), min_size=2, max_size=6)

    def box(steps: list[tuple[int, dict[str, float]]], interval: list[float] | None) -> dict[str, object]:
        frames = [sum(gap for gap, _ in steps[: number + 1]) for number in range(len(steps))]
        keyframes = [{"seconds": min(at * FRAME_SECONDS, END_SECONDS), **corners} for at, (_, corners) in zip(frames, steps, strict=True)]
        times = dict(zip(("first_seconds", "last_seconds"), sorted(interval), strict=True)) if interval else {}
        return {**keyframes[0], "keyframes": keyframes, **times}

    interval = st.none() | st.lists(st.integers(0, 250).map(lambda at: at * FRAME_SECONDS), min_size=2, max_size=2, unique=True)
    return st.builds(box, steps, interval)


def test_the_pieces_of_a_path_are_the_path(visit: Visit) -> None:
    visitor = visit()
    moments = [number / 4 for number in range(41)]

    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(boxes())
    def holds(box: dict[str, object]) -> None:
        first, last = box.get("first_seconds", 0.0), box.get("last_seconds", END_SECONDS)
        inside = [at for at in moments if first <= at <= last]  # type: ignore[operator]
        pieces, again, wanted = visitor.page.evaluate(THERE_AND_BACK, [box, END_SECONDS, FRAME_SECONDS, inside])
        assert (pieces[0]["first_seconds"], pieces[-1]["last_seconds"]) == (first, last)
        assert all(one["last_seconds"] == other["first_seconds"] for one, other in itertools.pairwise(pieces))
        if any("end" in piece for piece in pieces):
            assert len(again) == 1
            for one, other in zip(again[0], wanted, strict=True):
                assert one == pytest.approx(other, abs=1e-6)

    holds()
