"""The page in Chromium: how soon it is painted, what it weighs, and what it holds while many large files are uploaded.

    python -m benchmarks.page --only paint
    python -m benchmarks.page --only files --files 10 --megabytes 200    # takes twice that on the disk for a while

Prints one JSON line per question. The service has fake networks, and large files are a short clip with zeros after it.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.fleet import Fleet, within
from benchmarks.loopback_host import files as clips
from benchmarks.memory import process_bytes, tree
from benchmarks.orders import Customer

LOADS = 7
MEGABYTE = 10**6
CREDITS = 1000
INTERVAL_SECONDS = 0.5
UPLOAD_SECONDS = 3600.0
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FETCHED = (
    "() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).map((each) => each.encodedBodySize)"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless; raises FileNotFoundError where none is installed."""
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def paint(browser: Browser, url: str) -> dict[str, object]:
    """Milliseconds to the first paint with nothing cached, and the bytes and requests until the page is ready."""
    paints, weights = [], []
    for _ in range(LOADS):
        page = browser.new_context().new_page()
        page.goto(url)
        expect(page.locator("#key")).to_be_visible()
        within(INTERVAL_SECONDS * 20, lambda page=page: page.evaluate(PAINTED))
        paints.append(page.evaluate(PAINTED))
        weights.append(page.evaluate(FETCHED))
        page.context.close()
    return {
        "paint_ms": round(median(paints), 1),
        "fastest_paint_ms": round(min(paints), 1),
        "bytes": max(map(sum, weights)),
        "requests": max(map(len, weights)),
    }


def upload(browser: Browser, fleet: Fleet, folder: Path, files: int, megabytes: int) -> dict[str, object]:
    """Choose all files at once; the most memory that the page's process held above what it held before, and how many files arrived."""
    customer = Customer.new(fleet.core, "page", CREDITS)
    paths = [large_file(folder / f"clip {number:02}.mp4", megabytes * MEGABYTE) for number in range(1, files + 1)]
    page = browser.new_context().new_page()
    page.goto(fleet.url)
    page.locator("#key").fill(customer.key)
    page.locator("#key").press("Enter")
    expect(page.locator("#limits")).not_to_be_empty(timeout=UPLOAD_SECONDS)
    before = most = page_bytes()
    page.locator("#file").set_input_files(paths)
    headers = {"Authorization": f"Bearer {customer.key}"}

    def all_sent() -> bool:
        nonlocal most
        most = max(most, page_bytes())
        return not over(page)

    within(UPLOAD_SECONDS, all_sent, INTERVAL_SECONDS)
    jobs = fleet.client.get("/v1/jobs", params={"limit": 100}, headers=headers).json()["data"]
    page.context.close()
    return {"files": files, "megabytes": megabytes, "arrived": len(jobs), "before_bytes": before, "most_bytes": most}


def over(page: Page) -> int:
    """How many files are still waiting or being sent."""
    return page.locator(".queued:is([data-state=waiting], [data-state=sending])").count()


def page_bytes() -> int:
    """The memory of the largest renderer among this process's descendants."""
    return max((process_bytes(pid) for pid in tree(_own_pid()) if _is_renderer(pid)), default=0)


def _own_pid() -> int:
    return int(Path("/proc/self").resolve().name)


def _is_renderer(pid: int) -> bool:
    try:
        return b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def large_file(path: Path, size: int) -> Path:
    """A clip, and zeros after it that take no room on the disk."""
    clip = clips()["marked.mp4"]
    with path.open("wb") as file:
        file.write(clip)
        file.write((size - len(clip)).to_bytes(4, "big") + b"free")  # a box that players skip
        file.truncate(size)
    return path


def main(
    only: Annotated[str, typer.Option(help="Questions, separated by commas.")] = "paint,files",
    files: Annotated[int, typer.Option(min=2)] = 10,
    megabytes: Annotated[int, typer.Option(min=1, help="Of each file.")] = 200,
) -> None:
    """Answer the questions one after the other."""
    with tempfile.TemporaryDirectory(prefix="page-") as name, chromium() as browser:
        folder = Path(name)
        with Fleet.running(folder / "data") as fleet:
            if "paint" in only:
                print(json.dumps(paint(browser, fleet.url)), flush=True)
            if "files" in only:
                print(json.dumps(upload(browser, fleet, folder, files, megabytes)), flush=True)


if __name__ == "__main__":
    typer.run(main)
