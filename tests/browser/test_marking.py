"""What is left after a run is marked on the picture and sent with the next job."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from service.jobs.job import JobSpec
from tests.browser.visitor import Visit, Visitor, words
from tests.footage import Box, marked, scene
from tests.service_process import Service, TestAccount
from tests.turned import write_photo

EN = words()
LEAST_WHITE, MOST_BLACK = 200, 50  # of 255: values between are a stroke's soft edges


@pytest.fixture
def marking(visit: Visit, resident: TestAccount, cleaned_video: str) -> Visitor:
    """A visitor at a result with leftovers."""
    visitor = visit()
    visitor.enter(resident, cleaned_video)
    visitor.mark()
    return visitor


def run_again(visitor: Visitor, service: Service, account: TestAccount) -> JobSpec:
    """The spec of the new job."""
    before = visitor.job_id
    visitor.button(EN["draw.run"]).click()
    expect(visitor.page).not_to_have_url(f"{service.url}/#{before}")
    job = service.context.job_service.find(account.id, visitor.job_id)
    assert job.spec.media == "video"
    assert job.spec.source_key == service.context.job_service.find(account.id, before).result.source_key
    return job.spec


def test_a_drawn_box_reaches_the_job(marking: Visitor, service: Service, resident: TestAccount) -> None:
    expect(marking.button(EN["draw.run"])).to_be_disabled()
    marking.draw((0.75, 0.5), (0.5, 0.125))  # upwards, as boxes can be drawn in any direction
    left, top, right, bottom = marking.find("#boxes input").evaluate_all("all => all.slice(0, 4).map((each) => each.valueAsNumber)")
    assert (left, top, right, bottom) == pytest.approx((50, 12.5, 75, 50), abs=0.5)
    spec = run_again(marking, service, resident)
    (box,) = spec.boxes
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((0.5, 0.125, 0.75, 0.5), abs=0.005)
    assert (box.first_seconds, box.last_seconds) == (None, None)
    assert spec.detect
    assert spec.mask_key is None
    marking.see_result()
    assert "user" in {placement["kind"] for placement in marking.report()["placements"]}


def test_a_box_set_by_numbers_can_be_limited_to_some_seconds(marking: Visitor, service: Service, resident: TestAccount) -> None:
    marking.button(EN["draw.add"]).click()
    for name, value in {"left": "10", "top": "20", "right": "30.5", "bottom": "40", "from": "0.5", "to": "1.25"}.items():
        marking.page.get_by_label(EN[f"draw.{name}"]).fill(value)
    marking.page.get_by_label(EN["draw.detect"]).uncheck()
    spec = run_again(marking, service, resident)
    (box,) = spec.boxes
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((0.1, 0.2, 0.305, 0.4))
    assert (box.first_seconds, box.last_seconds) == (0.5, 1.25)
    assert not spec.detect


def test_an_empty_box_is_not_sent(marking: Visitor) -> None:
    marking.button(EN["draw.add"]).click()
    marking.page.get_by_label(EN["draw.right"]).fill("10")
    marking.button(EN["draw.run"]).click()
    right = marking.page.get_by_label(EN["draw.right"])
    assert EN["draw.empty"] in marking.find("#boxes input").evaluate_all("all => all.map((each) => each.validationMessage)")
    right.fill("70")
    assert marking.find("#marking").evaluate("form => form.checkValidity()")
    expect(marking.find("#result")).to_be_visible()


def test_brush_strokes_become_a_mask_that_is_white_where_painted(marking: Visitor, service: Service, resident: TestAccount) -> None:
    marking.tool("brush").check()
    marking.slider(EN["draw.size"]).fill("10")
    marking.draw((0.25, 0.5), (0.75, 0.5))
    spec = run_again(marking, service, resident)
    assert spec.boxes == ()
    assert spec.mask_key
    mask = np.asarray(Image.open(io.BytesIO(service.core.storage.get_bytes(spec.mask_key))).convert("L"))
    assert mask.shape == (96, 128)
    rows, columns = np.nonzero(mask > LEAST_WHITE)
    painted = (columns.min() / 128, columns.max() / 128, rows.min() / 96, rows.max() / 96)
    thick = 0.05 * 128 / 96  # half of the brush size, relative to the height
    assert painted == pytest.approx((0.2, 0.8, 0.5 - thick, 0.5 + thick), abs=0.02)
    assert (mask[:, 32:96][40:56] > LEAST_WHITE).mean() > 0.7
    assert (mask[:30] < MOST_BLACK).all()


def test_a_photo_that_is_stored_turned_is_painted_as_it_is_shown(visit: Visit, service: Service, tmp_path: Path) -> None:
    account, picture = service.account(), write_photo(tmp_path / "turned.png", marked(scene(0), Box(80, 60, 110, 80)), 6)
    job = service.client.post("/v1/jobs", headers=account.bearer, files={"file": ("turned.png", picture.read_bytes())}).json()
    service.wait(account, job["id"])
    visitor = visit()
    visitor.enter(account, job["id"])
    visitor.mark()
    visitor.tool("brush").check()
    visitor.draw((0.1, 0.1), (0.3, 0.1))
    visitor.button(EN["draw.run"]).click()
    expect(visitor.page).not_to_have_url(f"{service.url}/#{job['id']}")
    visitor.see_result()
    (placement,) = (each for each in visitor.report()["placements"] if each["kind"] == "user")
    left, top, right, bottom = placement["box"]
    assert left + right < 128 / 2  # upper left of 128 x 96
    assert top + bottom < 96 / 2


def test_drawing_can_be_undone(marking: Visitor) -> None:
    marking.draw((0.1, 0.1), (0.3, 0.3))
    marking.draw((0.5, 0.5), (0.9, 0.9))
    marking.draw((0.2, 0.2), (0.2, 0.2))  # a click draws no box
    expect(marking.find("#boxes li")).to_have_count(2)
    marking.button(EN["draw.undo"]).click()
    expect(marking.find("#boxes li")).to_have_count(1)
    marking.find("#boxes").get_by_role("button", name=EN["draw.remove"]).click()
    expect(marking.button(EN["draw.run"])).to_be_disabled()
    marking.draw((0.1, 0.1), (0.3, 0.3))
    marking.button(EN["draw.clear"]).click()
    expect(marking.find("#boxes li")).to_have_count(0)
    for name in ("clear", "run"):
        expect(marking.button(EN[f"draw.{name}"])).to_be_disabled()
    marking.button(EN["draw.undo"]).click()
    expect(marking.find("#boxes li")).to_have_count(1)
