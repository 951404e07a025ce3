"""One browser and one service with fake networks for all tests of this folder, and a new visitor for each test.

`CLEANPLATE_TEST_BROWSER=off` skips what needs a browser; otherwise it fails where none is installed, so that nobody takes a green round
for a full one.
"""

import os
import shutil
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.visitor import Visit, Visitor
from tests.footage import Box, marked, scene, write_film
from tests.service_process import Service, TestAccount, file, running

MISSING = "Chromium is not installed: see .ci/servers, or set CLEANPLATE_TEST_BROWSER=off to skip what needs it"
MARK = Box(40, 32, 72, 56)  # of 128 x 96 pixels
FRAMES = 44
MARKED_FRAMES = range(12, 32)


@pytest.fixture(scope="package")
def chromium() -> str:
    """The browser's executable."""
    if os.environ.get("CLEANPLATE_TEST_BROWSER") == "off":
        pytest.skip("CLEANPLATE_TEST_BROWSER=off")
    program = shutil.which("chromium")
    if program is None:
        pytest.fail(MISSING, pytrace=False)
    return program


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("browser"), fetch_bytes_per_second="1") as service:  # a source that trickles is not given up
        yield service


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])  # tests may run as root
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, service: Service) -> Iterator[Visit]:
    """Opens the page as a new visitor; at the end nothing may have gone wrong unnoticed: see `Visitor.check`."""
    visitors: list[Visitor] = []

    def arrive(at: Service = service, **options: object) -> Visitor:
        visitors.append(Visitor.arrive(browser, at, **options))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.leave()
    for visitor in visitors:
        visitor.check()


@pytest.fixture(scope="package")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of 1.8 s with a mark from 0.5 to 1.3 s."""
    pictures = [marked(scene(i), MARK) if i in MARKED_FRAMES else scene(i) for i in range(FRAMES)]
    return write_film(tmp_path_factory.mktemp("video") / "video.mp4", pictures).read_bytes()


@pytest.fixture(scope="package")
def resident(service: Service) -> TestAccount:
    """An account whose jobs several tests read and none changes."""
    return service.account(name="resident")


@pytest.fixture(scope="package")
def cleaned_video(service: Service, resident: TestAccount, video: bytes) -> str:
    return _cleaned(service, resident, "video.mp4", video)


@pytest.fixture(scope="package")
def cleaned_image(service: Service, resident: TestAccount) -> str:
    return _cleaned(service, resident, "picture.png", file("image")[0])


def _cleaned(service: Service, account: TestAccount, name: str, data: bytes) -> str:
    answer: httpx.Response = service.client.post("/v1/jobs", headers=account.bearer, files={"file": (name, data)})
    job_id = str(answer.json()["id"])
    service.wait(account, job_id)
    return job_id
