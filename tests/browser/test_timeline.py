"""The timeline: a row a mark, intervals joined as in the report, one control for the keyboard, seen in forced colours too."""

import pytest
from playwright.sync_api import Route, expect

from tests.browser.test_looks import grave_findings
from tests.browser.visitor import Visit, Visitor, words
from tests.service_process import TestAccount

EN = words()
ROWS = "all => all.map((each) => each.style.getPropertyValue('--row'))"
EDGE = "bar => getComputedStyle(bar).borderTopColor"
UNSEEN = "rgba(0, 0, 0, 0)"
SHOWN = "() => document.querySelector('#after video').currentTime"


def with_two_marks(route: Route) -> None:
    """The report with its mark in two pieces that follow each other, and a second mark that comes and goes."""
    answer = route.fetch()
    report = answer.json()
    (file,) = report["files"]
    (found,) = file["placements"]
    frame = 1 / file["video"]["frames_per_second"]

    def placed(name: str, first: float, last: float) -> dict[str, object]:
        return found | {"id": name, "first_seconds": first, "last_seconds": last}

    file["placements"] = [
        placed("a", 0.2, 0.5),
        placed("b", 0.1, 0.3),
        placed("a", 0.5 + frame, 0.9),
        placed("b", 1.1, 1.4),
    ]
    route.fulfill(response=answer, json=report)


@pytest.fixture(params=["colours", "forced colours"])
def viewer(visit: Visit, resident: TestAccount, cleaned_video: str, request: pytest.FixtureRequest) -> Visitor:
    visitor = visit(forced_colors="active") if request.param == "forced colours" else visit()
    visitor.page.route("**/report", with_two_marks)
    visitor.enter(resident, cleaned_video)
    return visitor


def test_each_mark_has_a_row_and_the_keyboard_goes_from_bar_to_bar(viewer: Visitor) -> None:
    timeline = viewer.page.get_by_role("toolbar", name=EN["timeline.label"])
    bars = timeline.get_by_role("button")
    expect(bars).to_have_count(3)  # the first mark's two pieces are one
    assert bars.evaluate_all(ROWS) == ["0", "1", "1"]
    expect(bars.first).to_have_accessible_name(EN["timeline.mark"].format(first="0:00.2", last="0:00.9", opacity="100%"))
    for bar in bars.all():
        box, frame = bar.bounding_box(), timeline.bounding_box()
        assert box
        assert frame
        assert box["y"] >= frame["y"] - 1
        assert box["y"] + box["height"] <= frame["y"] + frame["height"] + 1
        is_forced = viewer.page.evaluate("() => matchMedia('(forced-colors: active)').matches")
        assert (bar.evaluate(EDGE) == UNSEEN) != is_forced, "colours of our own are gone then, and the edge is what is seen"
    assert timeline.locator("[tabindex='0']").count() == 1, "Tab leads to it once"
    bars.first.focus()
    for _ in range(2):
        viewer.page.keyboard.press("ArrowRight")
    expect(bars.last).to_be_focused()
    viewer.page.keyboard.press("Enter")
    viewer.page.wait_for_function(f"({SHOWN})() >= 1.09")
    expect(viewer.find(".interval.now")).to_have_count(1)
    assert grave_findings(viewer) == []
