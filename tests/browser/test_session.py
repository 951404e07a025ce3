"""The session: key and jobs across a reload, signing out, older jobs, and the requests that the page may make."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from playwright.sync_api import Error, expect

from tests.browser.visitor import Visit, Visitor, words
from tests.service_process import Service, TestAccount, file

EN = words()
PAGE_JOBS = 12
APIS = ("native", "kie", "savesora", "aidge", "kaze")


def test_a_reload_keeps_the_session_the_job_and_the_list(
    visit: Visit, resident: TestAccount, cleaned_video: str, cleaned_image: str
) -> None:
    visitor = visit()
    visitor.enter(resident, cleaned_video)
    jobs = visitor.find(".job").evaluate_all("all => all.map((each) => each.dataset.job)")
    assert {cleaned_video, cleaned_image} <= set(jobs)
    visitor.page.reload()
    visitor.see_result()
    assert visitor.job_id == cleaned_video
    expect(visitor.find(".job")).to_have_count(len(jobs))
    visitor.find(f"[data-job={cleaned_image}]").click()
    expect(visitor.page.get_by_test_id("after").locator("img")).to_be_visible()
    assert visitor.job_id == cleaned_image


def test_another_tab_does_not_know_the_key(visit: Visit, resident: TestAccount) -> None:
    visitor = visit()
    visitor.enter(resident)
    second = visitor.page.context.new_page()
    second.goto(visitor.service.url)
    expect(second.locator("#key")).to_be_visible()
    stored = visitor.page.evaluate("() => JSON.stringify(localStorage) + document.cookie")
    assert resident.key not in stored


def test_signing_out_forgets_the_key(visit: Visit, resident: TestAccount, cleaned_video: str) -> None:
    visitor = visit()
    visitor.enter(resident, cleaned_video)
    visitor.button(EN["key.forget"]).click()
    expect(visitor.find("#key")).to_be_focused()
    for hidden in ("#jobs", "#examples", "#credits", "#result", "#new-job"):
        expect(visitor.find(hidden)).to_be_hidden()
    assert resident.key not in visitor.page.evaluate("() => JSON.stringify(sessionStorage) + document.documentElement.outerHTML")
    visitor.page.reload()
    expect(visitor.find("#key-card")).to_be_visible()
    expect(visitor.find("#key")).to_have_value("")


def test_a_revoked_key_ends_the_session(visit: Visit, service: Service) -> None:
    visitor, account = visit(), service.account()
    visitor.enter(account)
    service.delete(account)
    visitor.choose("video.mp4", file("marked")[0])
    assert visitor.complaint() in (EN["problem.key-invalid"], EN["problem.account-missing"])
    expect(visitor.find("#key-card")).to_be_visible()


def test_older_jobs_are_shown_page_by_page(visit: Visit, service: Service) -> None:
    account = service.account()
    for number in range(PAGE_JOBS + 2):
        url = f"{service.host.url}/clip {number}.mp4".replace(" ", "%20")
        job = service.client.post("/v1/jobs", headers=account.bearer, json={"source_url": url, "priority": 1000}).json()
        service.client.post(f"/v1/jobs/{job['id']}/cancel", headers=account.bearer)
    visitor = visit()
    visitor.enter(account)
    expect(visitor.find(".job")).to_have_count(PAGE_JOBS)
    expect(visitor.find(".job .name").first).to_have_text(f"clip {PAGE_JOBS + 1}.mp4")
    visitor.button(EN["jobs.older"]).click()
    expect(visitor.find(".job")).to_have_count(PAGE_JOBS + 2)
    expect(visitor.find(".job .name").last).to_have_text("clip 0.mp4")
    expect(visitor.button(EN["jobs.older"])).to_be_hidden()


def test_a_remembered_key_is_known_in_another_tab_until_signing_out(visit: Visit, resident: TestAccount) -> None:
    visitor = visit()
    visitor.find("#remember-key").check()
    visitor.enter(resident)
    second = visitor.page.context.new_page()
    second.goto(visitor.service.url)
    expect(second.locator("#new-job")).to_be_visible()
    second.get_by_role("button", name=EN["key.forget"]).click()
    assert resident.key not in second.evaluate("() => JSON.stringify(localStorage)")


def test_the_examples_use_the_users_key_and_last_file_and_work(visit: Visit, service: Service) -> None:
    visitor, account = visit(permissions=["clipboard-read", "clipboard-write"]), service.account(credits=7)
    job = service.client.post("/v1/jobs", headers=account.bearer, files={"file": ("a.mp4", file("marked")[0])}).json()
    service.wait(account, job["id"])
    visitor.enter(account)
    visitor.find("#examples summary").click()
    expect(visitor.find("#calls pre").first).to_be_visible()
    assert account.key not in visitor.find("#calls").inner_text()
    visitor.find("#show-key").check()
    for name in APIS:
        visitor.page.get_by_role("radio", name=name, exact=True).check()
        calls = visitor.find("#calls pre").all_inner_texts()
        assert all(service.url in call for call in calls if call.startswith("curl"))
        assert all(account.key in call for call in calls) == (name != "aidge"), "whose requests are signed"
        assert not [call for call in calls if "CLEANPLATE_KEY" in call or "YOUR_API_KEY" in call]
    visitor.page.get_by_role("radio", name="native", exact=True).check()
    visitor.find("#show-key").uncheck()
    programs = {"curl": ["bash", "-c", "{} --silent --noproxy '*'"], "Python": [sys.executable, "-c", "{}"]}
    for program, command in programs.items():
        visitor.page.get_by_role("radio", name=program, exact=True).check()
        made, _, account_seen = (run_copied(visitor, number, command) for number in range(3))
        assert made["state"] == "queued"
        assert made["boxes"] == []
        assert account_seen["total_credits"] < 7


def run_copied(visitor: Visitor, number: int, command: list[str]) -> Any:
    """Copy a call and run it; return its answer."""
    visitor.find("#calls .block").nth(number).get_by_role("button").click()
    expect(visitor.find("#calls .block").nth(number).get_by_role("button")).to_have_text(EN["examples.copied"])
    call = visitor.page.evaluate("() => navigator.clipboard.readText()")
    environment = os.environ | {"no_proxy": "*"}
    answer = subprocess.run([part.replace("{}", call) for part in command], capture_output=True, check=True, timeout=60, env=environment)
    return json.loads(answer.stdout)


def test_the_content_security_policy_blocks_everything_else(visit: Visit, service: Service) -> None:
    visitor = visit()
    there = service.host.serve("/elsewhere", b"")
    with pytest.raises(Error, match="Failed to fetch"):
        visitor.page.evaluate("url => fetch(url)", there)
    visitor.page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.hasRun = true";
        document.body.append(script);
    }""")
    assert not visitor.page.evaluate("() => window.hasRun")
    assert not [asked for asked in service.host.asked if asked.path == "/elsewhere"]
    reported = "\n".join(visitor.faults)
    assert all(directive in reported for directive in ("connect-src", "script-src")), "as it would in every other test"
    visitor.faults.clear()
