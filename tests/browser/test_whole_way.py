"""From upload to download with the real networks, on the project's sample; the README shows the page at the end.

CLEANPLATE_SCREENSHOT=docs/images/page.png python -m pytest tests/browser/test_whole_way.py
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.visitor import Visit, Visitor, words
from tests.conftest import ROOT
from tests.footage import Picture
from tests.service_process import Service, running

EN = words()
SAMPLE = ROOT / "samples" / "marked.mp4"
CLEANING_MILLISECONDS = 280_000  # half a minute on an idle machine
SHOWN_SECONDS = 3.3  # the mark is in the left half, where the original is shown
COMPARED_EACH = 12  # frames
LEAST_CHANGE = 3  # of 255, mean over the boxes, partly covered by the half-transparent mark
MOST_CHANGE = 2  # outside the boxes: the loss of re-encoding
COLOURS = 256  # of the README's picture, dithered to halve its size


@pytest.fixture(scope="module")
def real_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the shipped networks and limits that admit the sample."""
    limits = {"file_bytes": "10000000", "duration_seconds": "10", "long_side_pixels": "1280", "short_side_pixels": "720"}
    chosen = {f"limits__{name}": value for name, value in limits.items()}
    with running(tmp_path_factory.mktemp("real"), networks="shipped", **chosen) as service:
        yield service


@pytest.mark.slow
def test_a_dropped_file_is_cleaned_by_the_real_networks_and_downloaded(visit: Visit, real_service: Service, tmp_path: Path) -> None:
    visitor, account = visit(real_service), real_service.account(credits=1)
    visitor.enter(account)
    visitor.drop(SAMPLE.name, SAMPLE.read_bytes())
    expect(visitor.find("#work-left")).to_contain_text("left", timeout=CLEANING_MILLISECONDS)
    assert 0 < visitor.page.get_by_role("progressbar").evaluate("bar => bar.value") < 100
    expect(visitor.find("#result")).to_be_visible(timeout=CLEANING_MILLISECONDS)
    visitor.see_result()

    placements = visitor.report()["placements"]
    stays = visitor.page.get_by_role("toolbar", name=EN["timeline.label"]).get_by_role("button")
    assert 1 <= stays.count() <= len(placements)
    assert len(placements) >= 3, "the sample's mark is at three places"
    look(visitor)

    with visitor.page.expect_download() as download:
        visitor.link(EN["result.download"]).click()
    download.value.save_as(tmp_path / "clean.mp4")
    before, after = some_frames(SAMPLE), some_frames(tmp_path / "clean.mp4")
    assert before.keys() == after.keys()
    inside, outside = changes(before, after, placements)
    assert inside > LEAST_CHANGE
    assert outside < MOST_CHANGE


def look(visitor: Visitor) -> None:
    """Take the README's picture, and check that it shows both halves and what was removed."""
    visitor.slider(EN["player.seek"]).fill(str(SHOWN_SECONDS))
    visitor.page.wait_for_function("() => [...document.querySelectorAll('#stage video')].every((video) => !video.seeking)")
    plain = seen(visitor)
    visitor.page.get_by_role("checkbox", name=EN["overlay.show"]).check()
    assert (seen(visitor) != plain).any(), "the overlay"
    visitor.page.get_by_role("checkbox", name=EN["overlay.show"]).uncheck()
    visitor.find("#result").evaluate("section => section.scrollIntoView()")
    picture = as_picture(visitor.page.screenshot())
    assert np.asarray(picture.convert("L")).std() > 20, "not blank"
    if target := os.environ.get("CLEANPLATE_SCREENSHOT"):
        palette = picture.quantize(COLOURS, Image.Quantize.FASTOCTREE)
        picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)


def seen(visitor: Visitor) -> Picture:
    """A screenshot of the stage."""
    return np.asarray(as_picture(visitor.page.get_by_test_id("stage").screenshot()))


def as_picture(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def some_frames(path: Path) -> dict[int, Picture]:
    """Some frames of a video, by number; the video is read to its end."""
    with av.open(str(path)) as container:
        return {i: frame.to_ndarray(format="rgb24") for i, frame in enumerate(container.decode(video=0)) if i % COMPARED_EACH == 0}


def changes(before: dict[int, Picture], after: dict[int, Picture], placements: list[dict[str, Any]]) -> tuple[float, float]:
    """Mean absolute difference inside the placements' boxes, and outside of them."""
    inside, outside = [], []
    for index, picture in before.items():
        difference = np.abs(picture.astype(np.int16) - after[index]).mean(2)
        boxes = np.zeros(difference.shape, bool)
        for left, top, right, bottom in (p["box"] for p in placements if p["first_frame"] <= index <= p["last_frame"]):
            boxes[top:bottom, left:right] = True
        inside.append(difference[boxes])
        outside.append(difference[~boxes])
    return float(np.concatenate(inside).mean()), float(np.concatenate(outside).mean())
