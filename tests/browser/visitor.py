"""A visitor of the page: their actions, and what their browser does in the meantime."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.conftest import ROOT
from tests.service_process import Service, TestAccount

PATIENCE_MILLISECONDS = 60_000  # only failing tests or busy machines wait this long
LANGUAGES = ROOT / "service" / "web" / "languages"
CARRY = """(files) => {
    const carried = new DataTransfer();
    const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    for (const [name, type, text] of files) carried.items.add(new File([bytes(text)], name, { type }));
    return carried;
}"""
REFUSED = "Failed to load resource"  # how Chromium reports an error response

expect.set_options(timeout=PATIENCE_MILLISECONDS)


class Visit(Protocol):
    """A fixture's function: opens the page in a new browser context; `options` are Playwright's, such as `locale`."""

    def __call__(self, at: Service = ..., **options: Any) -> "Visitor": ...


@cache
def words(language: str = "en") -> dict[str, str]:
    """The page's texts by name."""
    texts: dict[str, str] = json.loads((LANGUAGES / f"{language}.json").read_text(encoding="utf-8"))
    return texts


@dataclass
class Visitor:
    page: Page
    service: Service
    asked: list[str] = field(default_factory=list)  # every URL that the browser requested
    faults: list[str] = field(default_factory=list)  # errors of the page and violations of its policy
    keys: list[str] = field(default_factory=list)

    @classmethod
    def arrive(cls, browser: Browser, service: Service, **options: Any) -> Self:
        settings = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        page = browser.new_context(**settings).new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        visitor = cls(page, service)
        page.on("request", lambda request: visitor.asked.append(request.url))
        page.on("console", visitor._hear)
        page.on("pageerror", lambda error: visitor.faults.append(str(error)))
        page.goto(service.url)
        return visitor

    def _hear(self, message: ConsoleMessage) -> None:
        refused = message.text.startswith(REFUSED) and "/v1/" in message.location["url"]  # the page shows these as its own texts
        if message.type in ("error", "warning") and not refused:
            self.faults.append(message.text)

    def leave(self) -> None:
        self.page.context.close()

    def check(self) -> None:
        """Check that nothing failed unnoticed, no other host was contacted, and no URL contained a key."""
        assert self.faults == []
        hosts = {urlsplit(url).netloc for url in self.asked if not url.startswith(("data:", "blob:"))}
        assert hosts == {urlsplit(self.service.url).netloc}
        assert not [url for url in self.asked for key in self.keys if key in url]

    # What the page shows.

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def slider(self, name: str) -> Locator:
        return self.page.get_by_role("slider", name=name, exact=True)

    @property
    def job_id(self) -> str:
        """The id of the shown job."""
        return urlsplit(self.page.url).fragment

    def report(self) -> Any:
        """The report of the shown job's file."""
        return self.service.client.get(f"/v1/jobs/{self.job_id}/report", headers=self._bearer).json()["files"][0]

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[-1]}"}

    def tool(self, name: str) -> Locator:
        """A tool of the stage: look, box, keep, brush or eraser."""
        return self.find(f"#tools [value={name}]")

    # Actions.

    def enter(self, account: TestAccount, job_id: str | None = None) -> None:
        """Sign in, and open a job of the account if given."""
        self.keys.append(account.key)
        if job_id:
            self.page.goto(f"{self.service.url}/#{job_id}")
        self.find("#key").fill(account.key)
        self.find("#key").press("Enter")
        expect(self.find("#limits")).not_to_be_empty()
        if job_id:
            self.see_result()

    def choose(self, name: str, data: bytes, kind: str = "video/mp4") -> None:
        """Choose a file in the browser's dialogue."""
        self.find("#file").set_input_files({"name": name, "mimeType": kind, "buffer": data})

    def drop(self, name: str, data: bytes, kind: str = "video/mp4") -> None:
        """Drop a file on the page."""
        self.drop_all({name: data}, kind)

    def drop_all(self, files: Mapping[str, bytes], kind: str = "video/mp4") -> None:
        """Drop several files on the page at once."""
        transfer = self.page.evaluate_handle(CARRY, [[name, kind, b64encode(data).decode()] for name, data in files.items()])
        for event in ("dragenter", "dragover", "drop"):
            self.find("#drop").dispatch_event(event, {"dataTransfer": transfer})

    def paste_address(self, url: str) -> None:
        self.find("#address").fill(url)
        self.button(words()["new.fetch"]).click()

    def see_result(self) -> None:
        """Wait for the result with its picture and its report."""
        expect(self.find("#result")).to_be_visible()
        expect(self.tool("box")).to_be_enabled()
        expect(self.find("#show-mask")).to_be_enabled()

    def mark(self) -> None:
        """Take the tool that draws boxes."""
        self.tool("box").check()
        expect(self.page.get_by_test_id("sketch")).to_be_visible()

    def draw(self, *places: tuple[float, float]) -> None:
        """Drag across the picture from point to point, in fractions of its size."""
        self.page.get_by_test_id("sketch").scroll_into_view_if_needed()
        box = self.page.get_by_test_id("sketch").bounding_box()
        assert box
        points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in places]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=8)
        self.page.mouse.up()

    def complaint(self) -> str:
        """The error shown on the page, once there is one."""
        expect(self.page.get_by_role("alert")).to_be_visible()
        return self.page.get_by_role("alert").inner_text()
