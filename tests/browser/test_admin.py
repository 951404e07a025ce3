"""The operator's page, used as a person does: with a wrong key and the right one, by mouse and by keyboard, on a desk and on a phone."""

import os
import re
from collections.abc import Iterator
from io import BytesIO

import pytest
import sqlalchemy as sa
from PIL import Image
from playwright.sync_api import Locator, expect

from service.errors import FetchRefused
from service.jobs import store
from service.jobs.database import NOW_MS
from service.jobs.job import Failure
from service.jobs.keys import Scope
from service.jobs.tables import DELIVERIES, WORKERS
from tests.browser.test_looks import CONTROLS, CUT, LANGUAGES, NAME, NARROW, all_text, foreign, grave_findings
from tests.browser.visitor import Visit, Visitor, words
from tests.service_process import Service, TestAccount, running

EN = words()
PARTS = ("overview", "accounts", "keys", "jobs", "callbacks", "usage", "log")
HOSTILE = '<img src="x" onerror="document.title=1"><b>{name}</b>'
COLOURS = 128  # of the picture in the documentation


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of this page's own, without a worker, so that jobs stay as they are; another machine's seems to live."""
    with running(tmp_path_factory.mktemp("admin"), worker=False) as service:
        with service.core.database.write() as connection:
            row = {"id": "gpu-7-1a2b3c4d", "host": "gpu", "process_id": 7, "process_started": 1, "version": "0.2.0"}
            connection.execute(sa.insert(WORKERS).values(row | {"beat_ms": NOW_MS + 86_400_000}))
        yield service


@pytest.fixture(scope="module")
def operator(service: Service) -> str:
    """The operator's key, of an account whose name is markup; one webhook of it was given up."""
    account = service.account(name=HOSTILE)
    job_id = failed(service, account, callback_url="http://127.0.0.1:9/hook?token=hidden")
    with service.core.database.write() as connection:
        given_up = sa.update(DELIVERIES).where(DELIVERIES.c.job_id == job_id)
        connection.execute(given_up.values(outcome="given_up", due_ms=None))
    return service.core.accounts.create_key(account.account, {Scope.ADMIN}).key


def ordered(service: Service, account: TestAccount, **more: str) -> str:
    """The id of a job that waits."""
    order = {"source_url": "http://127.0.0.1:9/a.mp4", **more}
    return str(service.client.post("/v1/jobs", headers=account.bearer, json=order).json()["id"])


def failed(service: Service, account: TestAccount, **more: str) -> str:
    """The id of a job that failed."""
    job_id = ordered(service, account, **more)
    failure = Failure.of(FetchRefused("example.com answered with status 404"))
    with service.core.database.write() as connection:
        service.core.finalizer.fail_and_refund(connection, store.locked(connection, job_id), failure)
    return job_id


@pytest.fixture
def desk(visit: Visit, service: Service) -> Visitor:
    """Somebody at the operator's page, without a key."""
    return opened(visit(), service)


def opened(visitor: Visitor, service: Service) -> Visitor:
    visitor.page.goto(f"{service.url}/admin")
    expect(visitor.find("#key-card")).to_be_visible()
    return visitor


def enter(visitor: Visitor, key: str) -> None:
    visitor.keys.append(key)
    visitor.find("#key").fill(key)
    visitor.find("#key").press("Enter")


def sign_in(visitor: Visitor, key: str) -> Visitor:
    enter(visitor, key)
    expect(visitor.find("#view")).to_be_visible()
    return visitor


def go(visitor: Visitor, part: str) -> None:
    visitor.find(f"#parts a[href='#{part}']").click()
    expect(visitor.find(f"#parts a[href='#{part}']")).to_have_attribute("aria-current", "page")
    expect(visitor.find("#view-title")).to_be_focused()


def fields(visitor: Visitor, send: str) -> Locator:
    """The form with this button."""
    return visitor.find("form.fields").filter(has=visitor.page.get_by_role("button", name=send, exact=True))


def figure(visitor: Visitor, name: str) -> Locator:
    return visitor.find(".facts div").filter(has=visitor.page.get_by_text(name, exact=True)).locator("dd")


def test_only_a_key_with_the_scope_opens_the_page(desk: Visitor, service: Service, operator: str) -> None:
    enter(desk, "cp_wrong")
    assert EN["problem.key-invalid"] in desk.complaint()
    customer: TestAccount = service.account()
    enter(desk, customer.key)
    expect(desk.page.get_by_role("alert")).to_contain_text(EN["problem.scope-missing"])
    expect(desk.find("#view")).to_be_hidden()
    sign_in(desk, operator)
    expect(desk.page.get_by_role("alert")).to_be_hidden()
    desk.page.reload()
    expect(desk.find("#view")).to_be_visible()
    assert desk.page.evaluate("() => Object.values(localStorage).join()").count("cp_") == 0
    desk.button(EN["key.forget"]).click()
    desk.page.reload()
    expect(desk.find("#key-card")).to_be_visible()


def test_an_account_from_its_creation_to_its_end(desk: Visitor, service: Service, operator: str) -> None:
    sign_in(desk, operator)
    desk.page.on("dialog", lambda dialog: dialog.accept())
    name = HOSTILE.format(name="new")
    go(desk, "accounts")
    expect(desk.find("#view-content")).to_contain_text(HOSTILE)
    form = fields(desk, EN["admin.create"])
    form.locator("[name=name]").fill(name)
    desk.button(EN["admin.create"]).click()
    expect(desk.find("#view-content h2.title")).to_have_text(name)
    form = fields(desk, EN["admin.enter"])
    for kind, credits, left in (("grant", "50", "50"), ("correct", "8", "42")):
        form.locator("[name=kind]").select_option(kind)
        form.locator("[name=credits]").fill(credits)
        form.locator("[name=note]").fill("<i>order</i>")
        desk.button(EN["admin.enter"]).click()
        expect(figure(desk, EN["admin.paid"])).to_have_text(left)
    expect(desk.find("#view-content table").last).to_contain_text("<i>order</i>")
    fields(desk, EN["jobs.save"]).locator("[name=queue]").fill("3")
    with desk.page.expect_response(lambda response: response.request.method == "PATCH"):
        desk.button(EN["jobs.save"]).click()
    account = service.core.accounts.find(name)
    assert (account.limits.queue_jobs, account.limits.storage_bytes) == (3, None)

    key = make_key(desk)
    bearer = {"Authorization": f"Bearer {key}"}
    assert service.client.get("/v1/account", headers=bearer).json()["total_credits"] == 42
    desk.button(EN["admin.disable"]).click()
    expect(desk.button(EN["admin.enable"])).to_be_visible()
    assert service.client.get("/v1/account", headers=bearer).status_code == 403
    desk.button(EN["admin.enable"]).click()
    expect(desk.button(EN["admin.disable"])).to_be_visible()
    desk.page.get_by_role("button", name=re.compile(f"^{EN['admin.revoke']}")).click()
    expect(desk.find("#view-content")).to_contain_text(EN["admin.revoked"])
    assert service.client.get("/v1/account", headers=bearer).status_code == 401

    desk.button(EN["admin.delete"]).click()
    expect(fields(desk, EN["admin.create"])).to_be_visible()
    go(desk, "log")
    expect(desk.find("tbody tr").first).to_contain_text("account.delete")
    desk.page.go_back()
    expect(fields(desk, EN["admin.create"])).to_be_visible()
    assert desk.page.title() != "1"


def make_key(visitor: Visitor) -> str:
    """Make a key on the account's page; it is shown once."""
    fields(visitor, EN["admin.makeKey"]).locator("[name=days]").fill("30")
    visitor.button(EN["admin.makeKey"]).click()
    expect(visitor.find("#secret")).to_be_visible()
    key = visitor.find("#secret-text").inner_text()
    assert key.startswith("cp_")
    visitor.button(EN["admin.saved"]).click()
    expect(visitor.find("#secret")).to_be_hidden()
    assert key not in visitor.page.content()
    visitor.page.reload()
    expect(fields(visitor, EN["admin.makeKey"])).to_be_visible()
    assert key not in visitor.page.content()
    return key


def test_what_failed_is_found_and_a_webhook_sent_again(desk: Visitor, operator: str) -> None:
    sign_in(desk, operator)
    failures = desk.page.get_by_role("table", name=EN["admin.failures"])
    expect(failures).to_contain_text("FetchRefused")
    expect(desk.page.get_by_role("table", name=EN["admin.workers"])).to_contain_text(EN["admin.alive"])
    expect(desk.page.get_by_role("table", name=EN["admin.disks"]).get_by_role("row")).to_have_count(3)
    go(desk, "jobs")
    form = fields(desk, EN["admin.find"])
    form.locator("[name=state]").select_option("failed")
    form.locator("[name=failure]").fill("FetchRefused")
    desk.button(EN["admin.find"]).click()
    jobs = desk.page.get_by_role("table", name=EN["admin.jobs"])
    expect(jobs).to_contain_text("404")
    expect(jobs).to_contain_text(HOSTILE)
    go(desk, "callbacks")
    row = desk.page.get_by_role("row").filter(has_text=EN["outcome.given_up"])
    expect(row).to_have_count(1)
    assert "token=" not in desk.page.content()
    row.get_by_role("button", name=re.compile(EN["admin.again"])).click()
    expect(desk.page.get_by_role("status")).to_have_text(EN["admin.sentAgain"].format(number=1))
    go(desk, "usage")
    expect(desk.page.get_by_role("table", name=EN["admin.usage"])).to_contain_text(HOSTILE)
    go(desk, "keys")
    expect(desk.page.get_by_role("table", name=EN["admin.keys"])).to_contain_text("admin")


def test_everything_by_keyboard(desk: Visitor, service: Service, operator: str) -> None:
    desk.keys.append(operator)
    desk.page.keyboard.type(operator)  # the field has the focus
    desk.page.keyboard.press("Enter")
    expect(desk.find("#view")).to_be_visible()
    tab_to(desk, desk.find("#parts a[href='#accounts']"))
    desk.page.keyboard.press("Enter")
    expect(desk.find("#view-title")).to_be_focused()
    tab_to(desk, desk.find("[name=name]"))
    desk.page.keyboard.type("by keyboard")
    desk.page.keyboard.press("Enter")
    expect(desk.find("#view-content h2.title")).to_have_text("by keyboard")
    tab_to(desk, desk.find("[name=credits]"))
    desk.page.keyboard.type("7")
    desk.page.keyboard.press("Enter")
    expect(figure(desk, EN["admin.paid"])).to_have_text("7")
    expect(desk.find("#view-title")).to_be_focused()
    tab_to(desk, desk.button(EN["admin.makeKey"]))
    desk.page.keyboard.press("Enter")
    expect(desk.find("#secret-copy")).to_be_focused()
    desk.page.keyboard.press("Escape")
    expect(desk.find("#secret")).to_be_hidden()
    assert [key.state for key in service.core.accounts.keys(service.core.accounts.find("by keyboard"))] == ["active"]


def tab_to(visitor: Visitor, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError("it cannot be reached")


def parts(visitor: Visitor, account_id: int) -> Iterator[str]:
    """Go through the page, which is open, and stop at each part."""
    for part in PARTS:
        go(visitor, part)
        yield part
    visitor.page.goto(f"{visitor.service.url}/admin#accounts/{account_id}")
    expect(visitor.find("#view-content h2.title")).to_be_visible()
    yield "account"


@pytest.mark.parametrize("light", ["light", "dark", "forced"])
def test_axe_finds_no_serious_problem(visit: Visit, service: Service, operator: str, light: str) -> None:
    visitor = visit(forced_colors="active") if light == "forced" else visit(color_scheme=light)
    opened(visitor, service)
    found = {"key": grave_findings(visitor)}
    sign_in(visitor, operator)
    found |= {part: grave_findings(visitor) for part in parts(visitor, service.core.accounts.find(HOSTILE).id)}
    visitor.button(EN["admin.makeKey"]).click()
    expect(visitor.find("#secret")).to_be_visible()
    found["secret"] = grave_findings(visitor)
    assert {view: findings for view, findings in found.items() if findings} == {}


def test_each_language_is_complete_and_fits_a_small_screen(visit: Visit, service: Service, operator: str) -> None:
    visitor = sign_in(opened(visit(viewport=NARROW, has_touch=True), service), operator)
    account_id = service.core.accounts.find(HOSTILE).id
    for language in LANGUAGES:
        visitor.find("#language").select_option(language)
        expect(visitor.find("html")).to_have_attribute("lang", language)
        for part in parts(visitor, account_id):
            assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"], (language, part)
            assert visitor.find(CONTROLS).evaluate_all(CUT) == [], (language, part)
            assert part == "log" or NAME.findall(all_text(visitor)) == [], (language, part)  # the log has names of actions
            assert foreign(visitor, language) == [], (language, part)


def test_its_picture_in_the_documentation(visit: Visit, service: Service, operator: str) -> None:
    """`CLEANPLATE_ADMIN_SCREENSHOT=docs/images/admin.png` draws it anew."""
    account = service.account(name="Northwind Films")
    failed(service, account)
    for _ in range(3):
        ordered(service, account)
    visitor = sign_in(opened(visit(viewport={"width": 1440, "height": 900}), service), operator)
    expect(visitor.page.get_by_role("table", name=EN["admin.queue"])).to_contain_text(account.name)
    expect(visitor.page.get_by_role("table", name=EN["admin.failures"])).to_contain_text(account.name)
    assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 1440
    picture = Image.open(BytesIO(visitor.page.screenshot()))
    assert picture.size == (1440, 900)
    if target := os.environ.get("CLEANPLATE_ADMIN_SCREENSHOT"):
        picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE).save(target, optimize=True)
