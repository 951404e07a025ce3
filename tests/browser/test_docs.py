"""The API's documentation sends its own example requests, with the reader's key and file, and shows the answers."""

import json
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.browser.test_looks import grave_findings
from tests.browser.visitor import Visit, Visitor, words
from tests.service_process import Service, TestAccount, file

EN = words()
PATIENCE_SECONDS = 60


def read(visit: Visit, service: Service, account: TestAccount) -> Visitor:
    """A reader of the documentation who has entered their key."""
    visitor = visit()
    visitor.keys.append(account.key)
    visitor.page.goto(f"{service.url}/docs")
    visitor.find("#key").fill(account.key)
    visitor.find("#key").blur()
    return visitor


def open_form(visitor: Visitor, operation: str, number: int = 0) -> Locator:
    place = visitor.find(f"#{operation} details:has(> form.try)").nth(number)
    place.locator("> summary").click()
    return place.locator("form")


def sent(form: Locator, status: str) -> str:
    """Send; the answer, once it has this status."""
    form.get_by_role("button", name="Send", exact=True).click()
    expect(form.get_by_role("status")).to_contain_text(status)
    expect(form.locator("pre")).to_be_visible()
    return form.locator("pre").inner_text()


def test_a_reader_sends_the_examples_with_their_key_and_sees_the_answers(visit: Visit, service: Service) -> None:
    account = service.account(credits=3)
    visitor = read(visit, service, account)
    assert json.loads(sent(open_form(visitor, "get-v1-account"), "200"))["total_credits"] == 3
    order = open_form(visitor, "post-v1-jobs")
    order.get_by_role("button", name="Use my last file").click()
    expect(order.get_by_role("status")).to_contain_text("No file of yours")
    order.get_by_role("button", name="Use the sample").click()
    expect(order.get_by_label("Body")).to_have_value(re.compile(re.escape(f'"{service.url}/files/uploads/')))
    job = json.loads(sent(order, "201"))
    assert service.context.job_service.find(account.id, job["id"]).spec.source_key
    refused = open_form(visitor, "get-v1-jobs-job_id")
    refused.get_by_label("job_id").fill("job_of_another")
    assert json.loads(sent(refused, "404"))["type"].endswith("unknown-job")
    assert grave_findings(visitor) == []


def test_a_file_is_sent_and_its_events_are_shown_as_they_come(visit: Visit, service: Service) -> None:
    account = service.account(credits=3)
    visitor = read(visit, service, account)
    order = open_form(visitor, "post-v1-jobs", 1)
    order.get_by_label("file", exact=True).set_input_files({"name": "film.mp4", "mimeType": "video/mp4", "buffer": file("marked")[0]})
    order.get_by_label("options", exact=True).fill("{}")
    job = json.loads(sent(order, "201"))
    events = open_form(visitor, "get-v1-jobs-job_id-events")
    events.get_by_label("job_id").fill(job["id"])
    assert "event: state" in sent(events, "200")
    service.wait(account, job["id"])
    expect(events.locator("pre")).to_contain_text("succeeded")
    again = open_form(visitor, "get-v1-jobs-job_id")
    expect(again.get_by_label("job_id")).to_have_value(job["id"])


def test_the_programs_run_as_they_are(visit: Visit, service: Service, tmp_path: Path) -> None:
    account = service.account(credits=3)
    visitor = read(visit, service, account)
    visitor.find("#program").select_option("Python")
    code = visitor.find("#post-v1-jobs .block pre").nth(1).inner_text().replace("$CLEANPLATE_KEY", account.key)
    (tmp_path / "FILE").write_bytes(file("marked")[0])
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True, timeout=PATIENCE_SECONDS, env={"no_proxy": "*"}
    )
    assert json.loads(answer.stdout)["state"] == "queued"
    visitor.find("#program").select_option("JavaScript")
    expect(visitor.find("#post-v1-jobs .block pre").nth(1)).to_contain_text("new FormData()")
    expect(visitor.find("header")).to_contain_text("fractions of the width and the height")


def test_bytes_are_sent_from_a_file(visit: Visit, service: Service) -> None:
    account = service.account()
    visitor = read(visit, service, account)
    place = visitor.find("#patch-v1-uploads-resumable-upload_id")
    for part in ("--request PATCH", "--header 'Tus-Resumable: 1.0.0'", "--header 'Upload-Offset: 0'", "--data-binary @FILE"):
        expect(place.locator(".block pre").first).to_contain_text(part)
    begun = service.client.post("/v1/uploads/resumable", headers=account.bearer | {"Tus-Resumable": "1.0.0", "Upload-Length": "12"})
    form = open_form(visitor, "patch-v1-uploads-resumable-upload_id")
    form.get_by_label("upload_id").fill(begun.headers["Location"].rsplit("/", 1)[1])
    form.get_by_label("Body").set_input_files({"name": "piece", "mimeType": "application/octet-stream", "buffer": b"eight by"})
    form.get_by_role("button", name="Send", exact=True).click()
    expect(form.get_by_role("status")).to_contain_text("204")
    asked = service.client.head(begun.headers["Location"], headers=account.bearer | {"Tus-Resumable": "1.0.0"})
    assert asked.headers["Upload-Offset"] == "8"
