"""Looking closely: zoom by wheel, keys and fingers, both sides in step; full screen, frames, speed, loop, a click that plays."""

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visit, Visitor, words
from tests.footage import FPS
from tests.service_process import TestAccount

EN = words()
PHONE = {"width": 390, "height": 844}
TIMES = "() => [...document.querySelectorAll('#stage video')].map((video) => video.currentTime)"
STILL = "() => [...document.querySelectorAll('#stage video')].every((video) => !video.seeking)"


@pytest.fixture
def viewer(visit: Visit, resident: TestAccount, cleaned_video: str) -> Visitor:
    visitor = visit()
    visitor.enter(resident, cleaned_video)
    return visitor


def pictures(visitor: Visitor) -> list[dict[str, float]]:
    return list(visitor.find("#stage video").evaluate_all("all => all.map((each) => each.getBoundingClientRect().toJSON())"))


def test_both_sides_are_enlarged_in_step_up_to_eight_times_and_moved(viewer: Visitor) -> None:
    stage = viewer.page.get_by_test_id("stage").bounding_box()
    assert stage
    viewer.page.mouse.move(stage["x"] + stage["width"] * 0.8, stage["y"] + stage["height"] * 0.8)
    viewer.page.keyboard.down("Control")
    for _ in range(20):
        viewer.page.mouse.wheel(0, -200)
    viewer.page.keyboard.up("Control")
    expect(viewer.find("#zoom-reset")).to_have_text("800%")
    before, after = pictures(viewer)
    assert before == after
    assert before["width"] == pytest.approx(8 * stage["width"], rel=0.01)
    assert (stage["x"] + stage["width"] * 0.8 - before["x"]) / before["width"] == pytest.approx(0.8, abs=0.01), "the pointer's place stays"
    viewer.page.mouse.down()
    viewer.page.mouse.move(stage["x"] + stage["width"] * 0.7, stage["y"] + stage["height"] * 0.8, steps=4)
    viewer.page.mouse.up()
    moved = pictures(viewer)
    assert moved[0] == moved[1]
    assert moved[0]["x"] - before["x"] == pytest.approx(-0.1 * stage["width"], abs=2)
    expect(viewer.find("#divider")).to_have_value("50")
    viewer.find("#divider").press("0")
    assert pictures(viewer)[0]["width"] == pytest.approx(stage["width"], abs=1)
    viewer.find("#divider").press("+")
    expect(viewer.find("#zoom-reset")).to_have_text("150%")


def test_two_fingers_enlarge_both_sides_on_a_phone(visit: Visit, resident: TestAccount, cleaned_video: str) -> None:
    visitor = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    visitor.enter(resident, cleaned_video)
    visitor.page.get_by_test_id("stage").scroll_into_view_if_needed()
    stage = visitor.page.get_by_test_id("stage").bounding_box()
    assert stage
    middle = (stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    screen = visitor.page.context.new_cdp_session(visitor.page)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": middle[0] + place, "y": middle[1] + 30, "id": finger} for finger, place in enumerate(places)]
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -30, 30)
    for apart in (40, 50, 60, 70, 80, 90):
        touch("touchMove", -apart, apart)
    touch("touchEnd")
    before, after = pictures(visitor)
    assert before == after
    assert before["width"] == pytest.approx(3 * stage["width"], rel=0.1)


def test_the_viewer_fills_the_screen_with_its_tools(viewer: Visitor) -> None:
    viewer.button(EN["player.fullScreen"]).click()
    viewer.page.wait_for_function("() => document.fullscreenElement?.id === 'viewer'")
    expect(viewer.tool("box")).to_be_visible()
    expect(viewer.button(EN["player.play"])).to_be_in_viewport()
    viewer.find("#divider").press("f")
    viewer.page.wait_for_function("() => !document.fullscreenElement")


def test_keys_step_from_frame_to_frame(viewer: Visitor) -> None:
    divider = viewer.find("#divider")
    for key, frame in ((".", 1), (".", 2), (".", 3), (",", 2)):
        divider.press(key)
        viewer.page.wait_for_function(STILL)
        assert [int(seconds * FPS) for seconds in viewer.page.evaluate(TIMES)] == [frame, frame]


def test_a_click_plays_and_speed_and_loop_hold(viewer: Visitor) -> None:
    viewer.find("#speed").select_option("2")
    viewer.button(EN["player.loop"]).click()
    viewer.slider(EN["player.seek"]).fill("1.5")
    viewer.page.get_by_test_id("stage").click(position={"x": 20, "y": 60})
    expect(viewer.button(EN["player.pause"])).to_be_visible()
    assert viewer.find("#after video").evaluate("video => video.playbackRate") == 2
    viewer.page.wait_for_function("() => document.querySelector('#after video').currentTime < 1")
    expect(viewer.button(EN["player.pause"])).to_be_visible()
    expect(viewer.find("#divider")).to_have_value("50")


def test_the_difference_is_amplified_on_request(viewer: Visitor) -> None:
    viewer.page.get_by_role("checkbox", name=EN["compare.difference"]).check()
    assert viewer.find("#after").evaluate("layer => getComputedStyle(layer).mixBlendMode") == "difference"
    expect(viewer.find(".handle")).to_be_hidden()
    viewer.page.get_by_role("checkbox", name=EN["compare.difference"]).uncheck()
    expect(viewer.find(".handle")).to_be_visible()
