"""What an operator sets in an account and its keys, on the page, holds: limits, scopes, expiry."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, expect

from service.jobs.database import NOW_MS
from service.jobs.tables import API_KEYS
from tests.browser.test_admin import desk, fields, go, operator, ordered, service, sign_in
from tests.browser.visitor import Visitor, words
from tests.service_process import Service, TestAccount

__all__ = ["desk", "operator", "service"]  # fixtures

EN = words()
DAY_MILLISECONDS = 86_400_000


@pytest.fixture
def customer(desk: Visitor, service: Service, operator: str) -> TestAccount:
    """An account whose page is open."""
    customer = service.account()
    sign_in(desk, operator)
    desk.page.goto(f"{service.url}/admin#accounts/{customer.id}")
    expect(desk.find("#view-content h2.title")).to_have_text(customer.name)
    return customer


def save(desk: Visitor, **values: str) -> None:
    """Fill in the form of limits, and save it."""
    form = fields(desk, EN["jobs.save"])
    for name, value in values.items():
        form.locator(f"[name={name}]").fill(value)
    with desk.page.expect_response(lambda response: response.request.method == "PATCH"):
        desk.button(EN["jobs.save"]).click()


def new_key(desk: Visitor, *scopes: str, days: str = "") -> str:
    """Make a key with these scopes alone."""
    form = fields(desk, EN["admin.makeKey"])
    for scope in ("submit", "read", "admin"):
        form.locator(f"[name={scope}]").set_checked(scope in scopes)
    form.locator("[name=days]").fill(days)
    desk.button(EN["admin.makeKey"]).click()
    expect(desk.find("#secret-text")).to_have_text(re.compile("^cp_"))
    key = desk.find("#secret-text").inner_text()
    desk.button(EN["admin.saved"]).click()
    expect(desk.find("#secret")).to_be_hidden()
    return key


def row_of(desk: Visitor, key: str) -> Locator:
    return desk.page.get_by_role("table", name=EN["admin.keys"]).get_by_role("row").filter(has_text=key[:7])


def status(service: Service, key: str, method: str, path: str, **more: Any) -> int:
    return service.client.request(method, path, headers={"Authorization": f"Bearer {key}"}, **more).status_code


def test_limits_hold_and_are_shown_until_they_are_emptied(desk: Visitor, service: Service, customer: TestAccount) -> None:
    save(desk, queue="1", storage="0.5")
    desk.page.reload()
    form = fields(desk, EN["jobs.save"])
    expect(form.locator("[name=queue]")).to_have_value("1")
    expect(form.locator("[name=storage]")).to_have_value("0.5")
    order = {"json": {"source_url": "http://127.0.0.1:9/a.mp4"}}
    assert status(service, customer.key, "POST", "/v1/jobs", **order) == 201
    assert status(service, customer.key, "POST", "/v1/jobs", **order) in (429, 503), "one unfinished job is the limit"
    file = {"files": {"file": ("a.mp4", bytes(600_000))}}
    assert status(service, customer.key, "POST", "/v1/uploads", **file) >= 400, "and half a megabyte"
    save(desk, queue="", storage="")
    expect(form.locator("[name=queue]")).to_have_value("")
    assert service.core.accounts.find(customer.name).limits.queue_jobs is None
    ordered(service, customer)


def test_a_key_may_do_what_its_scopes_say(desk: Visitor, service: Service, customer: TestAccount) -> None:
    order = {"json": {"source_url": "http://127.0.0.1:9/a.mp4"}}
    reader, sender, admin = (new_key(desk, scope) for scope in ("read", "submit", "admin"))
    for key, scope in ((reader, "read"), (sender, "submit"), (admin, "admin")):
        expect(row_of(desk, key)).to_contain_text(scope)
    assert [status(service, key, "GET", "/v1/account") for key in (reader, sender, admin)] == [200, 403, 403]
    assert [status(service, key, "POST", "/v1/jobs", **order) for key in (reader, sender, admin)] == [403, 201, 403]
    assert [status(service, key, "GET", "/v1/admin/accounts") for key in (reader, sender, admin)] == [403, 403, 200]
    go(desk, "keys")
    expect(row_of(desk, reader)).to_contain_text(customer.name)


@pytest.mark.usefixtures("customer")
def test_a_key_without_a_scope_is_refused_with_a_sentence(desk: Visitor) -> None:
    form = fields(desk, EN["admin.makeKey"])
    for scope in ("submit", "read"):
        form.locator(f"[name={scope}]").uncheck()
    desk.button(EN["admin.makeKey"]).click()
    assert desk.complaint().strip()
    expect(desk.find("#secret")).to_be_hidden()


def test_a_key_that_has_expired_says_so_and_is_refused(desk: Visitor, service: Service, customer: TestAccount) -> None:
    key = new_key(desk, "read", days="30")
    row = row_of(desk, key)
    expect(row).to_contain_text(EN["admin.active"])
    expect(row.locator("time")).to_have_count(2)  # when it was made, and when it expires
    made, expires = (row.locator("time").nth(number).get_attribute("datetime") for number in (0, 1))
    assert made
    assert expires
    assert status(service, key, "GET", "/v1/account") == 200
    with service.core.database.write() as connection:
        own = sa.and_(API_KEYS.c.account_id == customer.id, API_KEYS.c.expires_ms.is_not(None))
        assert (
            connection.execute(sa.select(sa.func.count()).where(own, API_KEYS.c.expires_ms > NOW_MS + 29 * DAY_MILLISECONDS)).scalar_one()
            == 1
        )
        connection.execute(sa.update(API_KEYS).where(own).values(expires_ms=1))
    desk.page.reload()
    expect(row).to_contain_text(EN["admin.expired"])
    assert status(service, key, "GET", "/v1/account") == 401
