"""Marks that were found are kept or removed with one click; boxes are dragged, resized and timed; the price is said beforehand."""

import re

import pytest
from playwright.sync_api import Route, expect

from service.jobs.job import JobSpec
from tests.browser.visitor import Visit, Visitor, words
from tests.footage import FPS
from tests.service_process import Service, TestAccount

EN = words()
MARKED_SECONDS = 0.8  # the mark of the video is there
SCREENS = {"laptop": {"width": 1366, "height": 768}, "phone": {"width": 390, "height": 844}}


@pytest.fixture
def viewer(visit: Visit, resident: TestAccount, cleaned_video: str) -> Visitor:
    visitor = visit()
    visitor.enter(resident, cleaned_video)
    return visitor


def run(visitor: Visitor, service: Service, account: TestAccount, button: str = "draw.run") -> JobSpec:
    """The spec of the job that the button makes, once that has ended."""
    before = visitor.job_id
    visitor.button(EN[button]).click()
    expect(visitor.page).not_to_have_url(f"{service.url}/#{before}")
    return service.wait(account, visitor.job_id).spec


def corners(visitor: Visitor) -> list[float]:
    """The selected box, in percent: left, top, right, bottom."""
    found: list[float] = visitor.find("#boxes input").evaluate_all("all => all.slice(0, 4).map((each) => each.valueAsNumber)")
    return found


def test_a_found_mark_is_kept_with_one_click(viewer: Visitor, service: Service, resident: TestAccount) -> None:
    viewer.slider(EN["player.seek"]).fill(str(MARKED_SECONDS))
    viewer.mark()
    keep = viewer.button("Keep mark 1")
    expect(keep).to_have_attribute("aria-pressed", "false")
    expect(viewer.find("#found-list")).to_contain_text("sure")
    expect(viewer.button(EN["draw.run"])).to_be_disabled()
    keep.click()
    expect(keep).to_have_attribute("aria-pressed", "true")
    expect(viewer.page.get_by_role("checkbox", name="Mark 1")).not_to_be_checked()
    mark = viewer.report()["placements"][0]["id"]
    spec = run(viewer, service, resident)
    assert spec.reject == (mark,)
    expect(viewer.find("#result-summary")).to_have_text(EN["result.nothing_free"])
    viewer.page.get_by_role("checkbox", name=EN["found.earlier"]).check()
    assert run(viewer, service, resident).reject == ()
    viewer.see_result()


def without_history(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, json=answer.json() | {"seconds": None, "measured_jobs": 0})


def test_marks_are_shown_first_then_chosen_priced_and_removed(visit: Visit, service: Service, video: bytes) -> None:
    """On a service that has cleaned nothing yet: the time comes from a trial on this file."""
    visitor, account = visit(), service.account(credits=2)
    visitor.page.route("**/v1/estimate", without_history)
    visitor.enter(account)
    visitor.find("#look-first").check()
    visitor.choose("film.mp4", video)
    visitor.see_result()
    expect(visitor.find("#result-summary")).to_have_text(EN["result.looked"])
    expect(visitor.find("#estimate")).to_have_text(re.compile(r"^Credits: 1 · about \d+ (second|minute)s?$"))
    expect(visitor.find("#credits")).to_have_text("Credits: 2")
    expect(visitor.find("#chips .chip")).to_be_visible()  # the first mark is shown, wherever in the video it is
    mark = visitor.page.get_by_role("checkbox", name="Mark 1")
    mark.uncheck()
    expect(visitor.button(EN["draw.clean"])).to_be_disabled()
    mark.check()
    detection = visitor.job_id
    spec = run(visitor, service, account, "draw.clean")
    result = service.context.job_service.find(account.id, detection).result
    assert result
    assert spec.detection_key == result.detection_key
    visitor.see_result()
    expect(visitor.find("#result-title")).to_have_text("film.mp4")
    expect(visitor.find("#credits")).to_have_text("Credits: 1")


def test_a_box_is_moved_resized_and_timed_and_changes_are_undone(viewer: Visitor, service: Service, resident: TestAccount) -> None:
    viewer.mark()
    viewer.draw((0.2, 0.2), (0.4, 0.4))
    viewer.draw((0.3, 0.3), (0.5, 0.4))  # within the selected box: it moves
    assert corners(viewer) == pytest.approx([40, 30, 60, 50], abs=1)
    viewer.draw((0.6, 0.5), (0.8, 0.9))  # its lower right corner
    assert corners(viewer) == pytest.approx([40, 30, 80, 90], abs=1)
    viewer.button(EN["draw.undo"]).click()
    viewer.button(EN["draw.redo"]).click()
    viewer.find("#boxes li button").first.click()  # selects it again
    assert corners(viewer) == pytest.approx([40, 30, 80, 90], abs=1)
    for seconds, button in ((0.4, "draw.fromHere"), (1.2, "draw.toHere")):
        viewer.slider(EN["player.seek"]).fill(str(seconds))
        viewer.button(EN[button]).click()
    bar, line = viewer.find(".of-box"), viewer.find("#timeline").bounding_box()
    expect(bar).to_be_visible()
    grip = bar.locator(".grip.end").bounding_box()
    assert grip
    assert line
    viewer.page.mouse.move(grip["x"] + 2, grip["y"] + 2)
    viewer.page.mouse.down()
    viewer.page.mouse.move(line["x"] + line["width"] / 2, grip["y"] + 2, steps=5)
    viewer.page.mouse.up()
    (box,) = run(viewer, service, resident).boxes
    assert box.corners == pytest.approx((0.4, 0.3, 0.8, 0.9), abs=0.01)
    assert (box.first_seconds, box.last_seconds) == pytest.approx((0.4, 44 / FPS / 2), abs=0.05)


def test_another_run_repeats_what_was_marked_before(viewer: Visitor, service: Service, resident: TestAccount) -> None:
    viewer.tool("keep").check()
    viewer.draw((0.1, 0.1), (0.2, 0.2))
    assert len(run(viewer, service, resident).keep) == 1
    viewer.see_result()
    viewer.page.reload()
    viewer.see_result()
    viewer.mark()
    viewer.draw((0.7, 0.7), (0.9, 0.9))
    spec = run(viewer, service, resident)
    assert (len(spec.keep), len(spec.boxes)) == (1, 1)
    viewer.see_result()
    before = viewer.find("#before video").get_attribute("src")
    viewer.find("#compare-with").select_option("earlier")
    expect(viewer.find(".tag-before")).to_have_text(EN["compare.earlier"])
    assert viewer.find("#before video").get_attribute("src") != before


def test_the_eraser_takes_strokes_away(viewer: Visitor) -> None:
    viewer.tool("brush").check()
    viewer.draw((0.2, 0.5), (0.8, 0.5))
    viewer.tool("eraser").check()
    viewer.slider(EN["draw.size"]).fill("20")
    viewer.draw((0.5, 0.2), (0.5, 0.8))
    middle = "canvas => [...canvas.getContext('2d').getImageData(0, canvas.height / 2, canvas.width, 1).data.filter((_, i) => i % 4 === 3)]"
    alpha = viewer.page.get_by_test_id("sketch").evaluate(middle)
    assert alpha[int(0.3 * len(alpha))] > 100
    assert alpha[len(alpha) // 2] == 0


@pytest.mark.parametrize("screen", SCREENS)
def test_picture_tools_and_player_are_on_one_screen(visit: Visit, resident: TestAccount, cleaned_video: str, screen: str) -> None:
    visitor = visit(viewport=SCREENS[screen], has_touch=screen == "phone")
    visitor.enter(resident, cleaned_video)
    for part in ("#toolbar", "#stage", "#player", "#download", "#found" if screen == "phone" else "#run-again"):
        box = visitor.find(part).bounding_box()
        assert box
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= SCREENS[screen]["height"], part
