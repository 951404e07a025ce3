"""A newcomer in Firefox: from the page's first paint to a cleaned and downloaded clip of three seconds, without reading anything."""

import os
import shutil
from pathlib import Path

import av
import pytest

from tests.browser.conftest import MARK
from tests.browser.firefox import ENTER, firefox
from tests.fixture_host import eventually
from tests.footage import FPS, marked, scene, write_film
from tests.service_process import running

CLIP_SECONDS = 3
PAINTED = "return performance.getEntriesByName('first-contentful-paint').length > 0"


@pytest.fixture
def program() -> str:
    if os.environ.get("CLEANPLATE_TEST_BROWSER") == "off":
        pytest.skip("CLEANPLATE_TEST_BROWSER=off")
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.skip("Firefox is not installed: see .ci/servers")
    return found


def test_a_newcomer_cleans_and_downloads_a_clip(program: str, tmp_path: Path) -> None:
    clip = write_film(tmp_path / "holiday.mp4", [marked(scene(index), MARK) for index in range(CLIP_SECONDS * FPS)])
    with running(tmp_path / "data", limits__duration_seconds="4") as service, firefox(program, tmp_path / "firefox") as browser:
        account = service.account(credits=1)
        browser.go(service.url)
        assert browser.run(PAINTED)
        browser.type("#key", account.key + ENTER)
        browser.see("!document.querySelector('#new-job').hidden")
        browser.type("#file", str(clip))
        browser.see("!document.querySelector('#result').hidden && !document.querySelector('#show-mask').disabled")
        assert "holiday.mp4" in browser.run("return document.querySelector('#result-title').textContent")
        assert browser.run("return document.querySelector('#after video').videoWidth") == 128, "the result is played"
        browser.click("#download")
        saved = tmp_path / "firefox" / "downloads" / "holiday_clean.mp4"
        eventually(lambda: saved.exists() and saved.stat().st_size and not list(saved.parent.glob("*.part")))
        with av.open(str(saved)) as result:
            assert sum(1 for _ in result.decode(video=0)) == CLIP_SECONDS * FPS
