"""The result next to the original: the divider, both videos in sync, what was removed, and when."""

import io
from base64 import b64decode

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.conftest import MARKED_FRAMES
from tests.browser.visitor import Visit, Visitor, words
from tests.footage import FPS
from tests.service_process import TestAccount

EN = words()
PLACES = "() => [...document.querySelectorAll('#stage video')].map((video) => video.currentTime)"
IN_STEP_SECONDS = 0.1
WATCHED_SECONDS = 1.0


@pytest.fixture
def viewer(visit: Visit, resident: TestAccount, cleaned_video: str) -> Visitor:
    visitor = visit()
    visitor.enter(resident, cleaned_video)
    return visitor


def test_the_divider_follows_mouse_and_keys(viewer: Visitor) -> None:
    divider, stage = viewer.slider(EN["compare.divider"]), viewer.page.get_by_test_id("stage")
    box = stage.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    viewer.page.mouse.move(box["x"] + box["width"] / 2, y)
    viewer.page.mouse.down()
    viewer.page.mouse.move(box["x"] + box["width"] / 4, y, steps=5)
    viewer.page.mouse.up()
    assert float(divider.input_value()) == pytest.approx(25, abs=1)
    before = int(divider.input_value())
    divider.press("ArrowRight")
    divider.press("ArrowRight")
    expect(divider).to_have_value(str(before + 2))
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuetext", EN["compare.value"].replace("{part}", "0%"))
    assert stage.evaluate("stage => stage.style.getPropertyValue('--split')") == "0%"


def test_both_videos_play_in_sync(viewer: Visitor) -> None:
    viewer.button(EN["player.play"]).click()
    expect(viewer.button(EN["player.pause"])).to_be_visible()
    viewer.page.wait_for_function(f"() => document.querySelector('#after video').currentTime > {WATCHED_SECONDS}")
    original, result = viewer.page.evaluate(PLACES)
    assert abs(original - result) < IN_STEP_SECONDS
    expect(viewer.button(EN["player.play"])).to_be_visible()  # it has reached its end
    viewer.slider(EN["player.seek"]).fill("0.7")
    viewer.page.wait_for_function("() => [...document.querySelectorAll('#stage video')].every((video) => !video.seeking)")
    assert viewer.page.evaluate(PLACES) == pytest.approx([0.7, 0.7], abs=0.01)
    expect(viewer.find("#clock")).to_have_text("0:00 / 0:01")


def test_space_plays_and_sound_is_switched(viewer: Visitor) -> None:
    viewer.slider(EN["compare.divider"]).press("Space")
    expect(viewer.button(EN["player.pause"])).to_be_visible()
    viewer.slider(EN["compare.divider"]).press("Space")
    expect(viewer.button(EN["player.play"])).to_be_visible()
    sound = viewer.button(EN["player.sound"])
    for pressed, audible in (("false", 0), ("true", 1)):
        expect(sound).to_have_attribute("aria-pressed", pressed)
        assert viewer.find("#stage video").evaluate_all("all => all.filter((video) => !video.muted).length") == audible
        sound.click()


def test_the_timeline_seeks_to_the_mark_and_the_overlay_shows_it(viewer: Visitor) -> None:
    stay = viewer.page.get_by_role("toolbar", name=EN["timeline.label"]).get_by_role("button")
    expect(stay).to_have_count(1)
    viewer.page.get_by_role("checkbox", name=EN["overlay.show"]).check()
    overlay = viewer.page.get_by_test_id("overlay")
    assert drawn_box(overlay) is None, "at the start no mark is there"
    stay.click()
    first = MARKED_FRAMES[0] / FPS
    viewer.page.wait_for_function(f"() => document.querySelector('#after video').currentTime >= {first - 0.01}")
    expect(viewer.find(".interval.now")).to_have_count(1)
    assert viewer.page.evaluate(PLACES) == pytest.approx([first] * 2, abs=0.05)
    assert drawn_box(overlay) == pytest.approx(viewer.report()["placements"][0]["box"], abs=2)
    viewer.page.get_by_role("checkbox", name=EN["overlay.show"]).uncheck()
    expect(overlay).to_be_hidden()


def test_the_report_opens_beside_the_page(viewer: Visitor) -> None:
    with viewer.page.context.expect_page() as opened:
        viewer.link(EN["result.report"]).click()
    expect(opened.value.locator("img, svg").first).to_be_visible()


def test_everything_works_with_the_keyboard(visit: Visit, resident: TestAccount, cleaned_video: str) -> None:
    visitor = visit()
    keys = visitor.page.keyboard
    tab_to(visitor, "#key")
    keys.type(resident.key)
    keys.press("Enter")
    expect(visitor.find("#file")).to_be_focused()
    tab_to(visitor, f"[data-job={cleaned_video}]")
    keys.press("Enter")
    visitor.see_result()
    tab_to(visitor, "#divider")
    keys.press("ArrowLeft")
    expect(visitor.find("#divider")).to_have_value("49")
    tab_to(visitor, "#play")
    keys.press("Enter")
    expect(visitor.button(EN["player.pause"])).to_be_visible()
    tab_to(visitor, "#tools [value=look]", backwards=True)
    keys.press("ArrowRight")
    expect(visitor.tool("box")).to_be_checked()
    tab_to(visitor, "#sketch")
    keys.press("Enter")
    keys.press("ArrowLeft")
    keys.press("Shift+ArrowDown")
    corners = visitor.find("#boxes input").evaluate_all("all => all.slice(0, 4).map((each) => each.valueAsNumber)")
    assert corners == [39, 40, 59, 61]
    tab_to(visitor, "#boxes input")
    tab_to(visitor, "#run-again")
    expect(visitor.find("#run-again")).to_be_enabled()


def drawn_box(canvas: Locator) -> tuple[int, int, int, int] | None:
    """The bounding box of everything drawn: left, top, right, bottom."""
    picture = canvas.evaluate("canvas => canvas.toDataURL()").partition(",")[2]
    return Image.open(io.BytesIO(b64decode(picture))).getchannel("A").getbbox()


def tab_to(visitor: Visitor, selector: str, backwards: bool = False) -> None:
    """Press Tab until this element has the focus."""
    for _ in range(60):
        visitor.page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if visitor.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab does not lead to {selector}", pytrace=False)
