"""The admin API over real HTTP: accounts, keys, credits, usage, jobs and the state of the service; and what each scope may do."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.errors import FetchRefused
from service.jobs import oversight, store
from service.jobs.credits import Fund
from service.jobs.job import Failure
from service.jobs.keys import Scope
from service.jobs.tables import ATTEMPTS, DELIVERIES, WORKERS
from tests.service_process import Service, TestAccount, running

JSON = "application/json"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a worker, so that jobs stay as they are."""
    with running(tmp_path_factory.mktemp("admin"), worker=False, rate_read="100000/second", hold_seconds="0.05") as service:
        yield service


@pytest.fixture(scope="module")
def admin(quiet: Service) -> dict[str, str]:
    """The header of an operator."""
    account = quiet.core.accounts.create("operator")
    return bearer(quiet.core.accounts.create_key(account, {Scope.ADMIN}).key)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def ask(service: Service, headers: dict[str, str], method: str, path: str, body: object = None, **more: str) -> httpx.Response:
    return service.client.request(method, f"/v1/admin{path}", headers=headers | more, json=body)


def created(service: Service, headers: dict[str, str], name: str, **more: object) -> dict[str, Any]:
    answer = ask(service, headers, "POST", "/accounts", {"name": name, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


# Scopes and expiry.


def with_scopes(service: Service, *scopes: Scope) -> dict[str, str]:
    account = service.account()
    return bearer(service.core.accounts.create_key(account.account, scopes).key)


def refused(answer: httpx.Response) -> bool:
    """Whether the key lacks the scope; checks how that is said."""
    if answer.status_code != 403:
        return False
    assert answer.json()["type"] == "urn:cleanplate:problem:scope-missing"
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    return True


@pytest.mark.parametrize("scope", Scope)
def test_a_key_does_what_its_scope_says_and_nothing_else(quiet: Service, scope: Scope) -> None:
    headers, client = with_scopes(quiet, scope), quiet.client
    order = client.post("/v1/jobs", headers=headers, json={"source_url": "http://127.0.0.1:9/a.mp4"})
    assert refused(order) is (scope is not Scope.SUBMIT)
    assert refused(client.get("/v1/jobs", headers=headers)) is (scope is not Scope.READ)
    assert refused(client.get("/v1/admin/accounts", headers=headers)) is (scope is not Scope.ADMIN)
    assert refused(client.delete("/v1/jobs/none", headers=headers)) is (scope is not Scope.SUBMIT)


@pytest.mark.parametrize(
    ("path", "body", "code", "denied"),
    [
        ("/api/v1/jobs/createTask", {}, "code", 401),
        ("/api/file-url-upload", {}, "code", 401),
        ("/api/ext/v1/submit_watermark_removal", {}, "code", 1002),
        ("/api/v1/download", {"api_key": None, "video_url": "http://127.0.0.1:9/a.mp4"}, "code", 4003),
    ],
)
def test_the_dialects_refuse_orders_with_a_key_that_only_reads(
    quiet: Service, path: str, body: dict[str, Any], code: str, denied: int
) -> None:
    headers = with_scopes(quiet, Scope.READ)
    key = headers["Authorization"].removeprefix("Bearer ")
    answer = quiet.client.post(path, headers=headers, json={name: value or key for name, value in body.items()})
    assert answer.json()[code] == denied
    assert quiet.client.get("/api/v1/chat/credit", headers=headers).json()["code"] == 200


# Accounts, keys and credits.


def test_an_account_from_its_creation_to_its_end(quiet: Service, admin: dict[str, str]) -> None:
    made = created(quiet, admin, "ann", rights="owner", digital_source_type="digitalCapture", queue_jobs=1)
    assert (made["name"], made["rights"], made["queue_jobs"], made["paid_credits"]) == ("ann", "owner", 1, 0)
    path = f"/accounts/{made['id']}"
    assert ask(quiet, admin, "POST", "/accounts", {"name": "ann"}).status_code == 400
    granted = ask(quiet, admin, "POST", f"{path}/credits", {"kind": "grant", "credits": 9, "fund": "one_time"}).json()
    assert (granted["one_time_credits"], granted["paid_credits"]) == (9, 0)
    key = ask(quiet, admin, "POST", f"{path}/keys", {}).json()
    order = {"source_url": "http://127.0.0.1:9/a.mp4"}
    answers = [quiet.client.post("/v1/jobs", headers=bearer(key["key"]), json=order) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 503], "its own limit is one unfinished job"
    changed = ask(quiet, admin, "PATCH", path, {"queue_jobs": None, "rights": None, "banned": True}).json()
    assert (changed["queue_jobs"], changed["rights"], changed["banned"]) == (None, None, True)
    assert changed["digital_source_type"].endswith("digitalCapture"), "what is not named stays"
    assert quiet.client.get("/v1/account", headers=bearer(key["key"])).status_code == 403
    assert ask(quiet, admin, "GET", path).json() == changed
    assert ask(quiet, admin, "DELETE", path).status_code == 204
    for method, where in (("GET", path), ("DELETE", path), ("PATCH", path), ("POST", f"{path}/keys"), ("GET", f"{path}/ledger")):
        answer = ask(quiet, admin, method, where, {})
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:cleanplate:problem:account-unknown")


def test_accounts_are_listed_a_page_at_a_time(quiet: Service, admin: dict[str, str]) -> None:
    made = [created(quiet, admin, f"page {number}") for number in range(3)]
    first = ask(quiet, admin, "GET", f"/accounts?limit=2&after={made[0]['id'] - 1}").json()
    assert (first["data"], first["next_after"]) == (made[:2], made[1]["id"])
    last = ask(quiet, admin, "GET", f"/accounts?limit=2&after={first['next_after']}").json()
    assert (last["data"], last["next_after"]) == (made[2:], None)


def test_no_key_is_shown_twice_and_revoking_takes_its_id(quiet: Service, admin: dict[str, str]) -> None:
    account = created(quiet, admin, "keys")
    path = f"/accounts/{account['id']}/keys"
    new = ask(quiet, admin, "POST", path, {"scopes": ["read"], "valid_seconds": 3600}).json()
    listed = ask(quiet, admin, "GET", f"/keys?account_id={account['id']}")
    assert new["key"] not in listed.text
    (shown,) = listed.json()["data"]
    assert (shown["id"], shown["scopes"], shown["state"]) == (new["id"], ["read"], "active")
    assert new["key"].startswith(shown["hint"])
    lives = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert abs(lives.total_seconds() - 3600) < 1
    assert [ask(quiet, admin, "DELETE", f"/keys/{new['id']}").status_code for _ in range(2)] == [204, 204]
    assert quiet.client.get("/v1/account", headers=bearer(new["key"])).status_code == 401
    assert ask(quiet, admin, "DELETE", "/keys/key_000000000000").status_code == 404
    for wrong in ({"scopes": []}, {"scopes": ["all"]}, {"valid_seconds": 0}, {"key": "mine"}):
        assert ask(quiet, admin, "POST", path, wrong).status_code == 422


def test_a_repeated_grant_is_made_once(quiet: Service, admin: dict[str, str]) -> None:
    account = created(quiet, admin, "repeated")
    path = f"/accounts/{account['id']}/credits"
    grant = {"kind": "grant", "credits": 5, "note": "order 4711"}
    repeat = {"Idempotency-Key": "order-4711"}
    assert [ask(quiet, admin, "POST", path, grant, **repeat).json()["paid_credits"] for _ in range(2)] == [5, 5]
    other = ask(quiet, admin, "POST", path, grant | {"credits": 6}, **repeat)
    assert (other.status_code, other.json()["type"]) == (422, "urn:cleanplate:problem:idempotency-key-reused")
    taken = ask(quiet, admin, "POST", path, {"kind": "correct", "credits": 5, "note": "wrong account"}, **repeat)
    assert taken.json()["paid_credits"] == 0, "a correction is another event"
    assert ask(quiet, admin, "POST", path, {"kind": "correct", "credits": 1}).status_code == 400
    lines = ask(quiet, admin, "GET", f"/accounts/{account['id']}/ledger").json()["data"]
    assert [(line["kind"], line["free_credits"], line["note"]) for line in lines] == [
        ("correct", -5, "wrong account"),
        ("grant", 5, "order 4711"),
    ]
    page = ask(quiet, admin, "GET", f"/accounts/{account['id']}/ledger?limit=1").json()
    rest = ask(quiet, admin, "GET", f"/accounts/{account['id']}/ledger?before={page['next_before']}").json()
    assert (page["data"] + rest["data"], rest["next_before"]) == (lines, None)


# What operators look at.


def test_jobs_are_listed_without_the_customers_addresses(quiet: Service, admin: dict[str, str]) -> None:
    account = quiet.account()
    sent = quiet.client.post("/v1/jobs", headers=account.bearer, json={"source_url": "http://127.0.0.1:9/secret.mp4?token=1"}).json()
    answer = ask(quiet, admin, "GET", f"/jobs?account_id={account.id}&state=queued")
    (job,) = answer.json()["data"]
    assert (job["id"], job["account"], job["facade"], job["state"]) == (sent["id"], account.name, "native", "queued")
    assert "secret" not in answer.text


def test_the_status_shows_queue_failures_disks_versions_and_workers(quiet: Service, admin: dict[str, str]) -> None:
    account = quiet.account()
    failing, _ = (
        quiet.client.post("/v1/jobs", headers=account.bearer, json={"source_url": "http://127.0.0.1:9/a.mp4"}).json()["id"]
        for _ in range(2)
    )
    with quiet.core.database.write() as connection:
        quiet.core.finalizer.fail_and_refund(connection, store.locked(connection, failing), Failure.of(FetchRefused("no")))
        for name, beat_ms in (("live", oversight.NOW_MS), ("dead", oversight.NOW_MS - 60_000)):
            row = {"id": name, "host": "here", "process_id": 1, "process_started": 1, "beat_ms": beat_ms, "version": "9.9"}
            connection.execute(sa.insert(WORKERS).values(row))
    status = ask(quiet, admin, "GET", "/status").json()
    assert status["queued_jobs"] >= 1
    assert status["jobs"]["queued"] == status["queued_jobs"]
    assert status["recent_failures"]["FetchRefused"] >= 1
    assert 0 < status["disks"][0]["free_bytes"] <= status["disks"][0]["total_bytes"]
    assert {"cleanplate", "python"} <= set(status["versions"])
    assert [(worker["id"], worker["alive"], worker["version"]) for worker in status["workers"]] == [
        ("dead", False, "9.9"),
        ("live", True, "9.9"),
    ]


def failed(service: Service, account: TestAccount, reason: str, callback_url: str | None = None) -> str:
    """A job that failed, with its callback if it has one; its id."""
    order = {"source_url": "http://127.0.0.1:9/a.mp4", "callback_url": callback_url}
    sent = service.client.post("/v1/jobs", headers=account.bearer, json={name: value for name, value in order.items() if value})
    job_id = str(sent.json()["id"])
    with service.core.database.write() as connection:
        service.core.finalizer.fail_and_refund(connection, store.locked(connection, job_id), Failure.of(FetchRefused(reason)))
    return job_id


def test_the_queue_is_shown_by_account(quiet: Service, admin: dict[str, str]) -> None:
    accounts = [quiet.account(), quiet.account()]
    for account, number in zip(accounts, (3, 1), strict=True):
        for _ in range(number):
            quiet.client.post("/v1/jobs", headers=account.bearer, json={"source_url": "http://127.0.0.1:9/a.mp4"})
    queue = ask(quiet, admin, "GET", "/queue?limit=1000").json()
    waiting = {each["account"]: each for each in queue["data"]}
    assert [waiting[account.name]["queued_jobs"] for account in accounts] == [3, 1]
    assert all(each["oldest_queued_seconds"] <= queue["oldest_queued_seconds"] + 1 for each in queue["data"])
    assert queue["data"] == sorted(queue["data"], key=lambda each: -each["queued_jobs"])
    assert len(ask(quiet, admin, "GET", "/queue?limit=1").json()["data"]) == 1


def test_failures_are_shown_with_their_last_reason(quiet: Service, admin: dict[str, str]) -> None:
    account = quiet.account()
    before = {each["kind"]: each["jobs"] for each in ask(quiet, admin, "GET", "/failures").json()["data"]}
    failed(quiet, account, "the first")
    last = failed(quiet, account, "x" * 1000)
    (found,) = [each for each in ask(quiet, admin, "GET", "/failures?hours=1").json()["data"] if each["kind"] == "FetchRefused"]
    assert found["jobs"] == before.get("FetchRefused", 0) + 2
    assert (found["last_job_id"], found["last_account"], found["last_detail"]) == (last, account.name, "x" * 500)


def test_callbacks_are_listed_without_their_addresses_and_sent_again(quiet: Service, admin: dict[str, str]) -> None:
    account = quiet.account()
    jobs = [failed(quiet, account, "no", "http://127.0.0.1:9/hook?token=hidden") for _ in range(3)]
    with quiet.core.database.write() as connection:
        given_up = sa.update(DELIVERIES).where(DELIVERIES.c.job_id.in_(jobs[:2]))
        connection.execute(given_up.values(outcome="given_up", attempts=1, due_ms=None))
        line = {"number": 1, "at_ms": 1, "took_ms": 1, "error": "status 500"}
        ids = connection.execute(sa.select(DELIVERIES.c.id).where(DELIVERIES.c.job_id.in_(jobs[:2]))).scalars()
        connection.execute(sa.insert(ATTEMPTS), [line | {"delivery_id": each} for each in ids])
    path = f"/callbacks?account_id={account.id}"
    answer = ask(quiet, admin, "GET", f"{path}&outcome=given_up")
    assert "hidden" not in answer.text
    assert {(each["id"], each["host"], each["last_error"]) for each in answer.json()["data"]} == {
        (job, "127.0.0.1", "status 500") for job in jobs[:2]
    }
    pages = [ask(quiet, admin, "GET", f"{path}&limit=2").json()]
    pages.append(ask(quiet, admin, "GET", f"{path}&limit=2&cursor={pages[0]['next_cursor']}").json())
    assert {each["id"] for page in pages for each in page["data"]} == set(jobs)
    assert ask(quiet, admin, "POST", f"/callbacks/{jobs[0]}/redeliver").json() == {"callbacks": 1}
    assert [each["id"] for each in ask(quiet, admin, "GET", f"{path}&outcome=given_up").json()["data"]] == [jobs[1]]
    assert ask(quiet, admin, "POST", "/callbacks/redeliver").json()["callbacks"] >= 1
    assert ask(quiet, admin, "GET", f"{path}&outcome=given_up").json()["data"] == []
    missing = ask(quiet, admin, "POST", "/callbacks/job_none/redeliver")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:cleanplate:problem:callback-unknown")


# The audit log, and what it must not know.


def test_each_change_is_recorded_with_its_key_and_outcome_and_without_secrets(quiet: Service) -> None:
    operator = quiet.core.accounts.create("auditor")
    made = quiet.core.accounts.create_key(operator, {Scope.ADMIN})
    headers = bearer(made.key)
    account = created(quiet, headers, "recorded")
    path = f"/accounts/{account['id']}"
    new = ask(quiet, headers, "POST", f"{path}/keys", {"scopes": ["read"]}).json()
    ask(quiet, headers, "POST", f"{path}/credits", {"kind": "correct", "credits": 1, "note": "too much"})  # there are none
    ask(quiet, headers, "PATCH", path, {"banned": True})
    ask(quiet, headers, "DELETE", f"/keys/{new['id']}")
    ask(quiet, headers, "DELETE", path)
    answer = ask(quiet, headers, "GET", "/audit?limit=6")
    assert new["key"] not in answer.text
    assert made.key not in answer.text
    lines = answer.json()["data"]
    assert [(line["action"], line["subject"], line["outcome"]) for line in reversed(lines)] == [
        ("account.create", "recorded", "done"),
        ("key.create", "recorded", "done"),
        ("credits.correct", "recorded", "ParameterError"),
        ("account.change", "recorded", "done"),
        ("key.revoke", new["id"], "done"),
        ("account.delete", "recorded", "done"),
    ]
    assert {(line["actor"], line["key_id"]) for line in lines} == {("auditor", made.id)}
    assert json.loads(lines[2]["given"]) == {"banned": True}
    page = ask(quiet, headers, "GET", f"/audit?limit=1&before={lines[0]['id']}").json()
    assert (page["data"], page["next_before"]) == (lines[1:2], lines[1]["id"])


def test_keys_and_accounts_are_found_a_page_at_a_time(quiet: Service, admin: dict[str, str]) -> None:
    account = created(quiet, admin, "50%_of the <b>keys</b>")
    created(quiet, admin, "50 of the keys")
    for _ in range(3):
        ask(quiet, admin, "POST", f"/accounts/{account['id']}/keys", {})
    path = f"/keys?account_id={account['id']}&limit=2"
    first = ask(quiet, admin, "GET", path).json()
    last = ask(quiet, admin, "GET", f"{path}&after={first['next_after']}").json()
    assert (len(first["data"]), len(last["data"]), last["next_after"]) == (2, 1, None)
    assert len({key["id"] for key in first["data"] + last["data"]}) == 3
    named = quiet.client.get("/v1/admin/accounts", headers=admin, params={"name": "50%_OF"}).json()["data"]
    assert [each["id"] for each in named] == [account["id"]]


def test_an_address_tries_few_wrong_keys_and_a_known_key_works_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("guesses"), worker=False, rate_wrong_keys="3/hour") as service:
        account = service.core.accounts.create("operator")
        used, unused = (bearer(service.core.accounts.create_key(account, {Scope.ADMIN}).key) for _ in range(2))
        assert ask(service, used, "GET", "/status").status_code == 200
        tried = [ask(service, bearer(f"cp_{number}"), "GET", "/status") for number in range(5)]
        assert [answer.status_code for answer in tried] == [401, 401, 401, 429, 429]
        assert 0 < int(tried[-1].headers["retry-after"]) <= 3600
        assert ask(service, used, "GET", "/status").status_code == 200
        assert ask(service, unused, "GET", "/status").status_code == 429, "a right guess is not told from a wrong one"
        wrong = {"api_key": "cp_5", "video_url": "http://127.0.0.1:9/a.mp4"}
        assert service.client.post("/api/v1/download", json=wrong).json()["code"] == 5001, "each API counts them"
        elsewhere = {"X-Forwarded-For": "192.0.2.7"}  # as the proxy on this machine says
        assert ask(service, unused | elsewhere, "GET", "/status").status_code == 200


def shape(value: Any) -> Any:
    """Names and types, recursively; null fits anything."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def test_every_example_of_the_admin_api_is_true(quiet: Service, admin: dict[str, str]) -> None:
    paths = quiet.client.get("/openapi.json").json()["paths"]

    def sent(method: str, path: str, **real: object) -> Any:
        operation = paths[f"/v1/admin{path}"][method]
        body = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("example")
        answer = ask(quiet, admin, method.upper(), path.format(**real), body)
        status = next(iter(operation["responses"]))
        assert str(answer.status_code) == status, answer.text
        example = operation["responses"][status].get("content", {}).get(JSON, {}).get("example")
        return answer.json() if example else None, example

    account, example = sent("post", "/accounts")
    assert shape(account | {"rights": "owner"}) == shape(example)
    account_id = account["id"]
    for method, path in (
        ("get", "/accounts/{account_id}"),
        ("patch", "/accounts/{account_id}"),
        ("post", "/accounts/{account_id}/credits"),
    ):
        found, example = sent(method, path, account_id=account_id)
        assert shape(found) == shape(example)
    key, example = sent("post", "/accounts/{account_id}/keys", account_id=account_id)
    assert shape(key) == shape(example)
    quiet.client.post("/v1/jobs", headers=bearer(key["key"]), json={"source_url": "http://127.0.0.1:9/a.mp4"})
    for path in ("/accounts/{account_id}/ledger", "/usage"):
        found, example = sent("get", path, account_id=account_id)
        assert set(found["data"][0]) == set(example["data"][0])
    for path in ("/keys", "/jobs", "/accounts"):
        found, example = sent("get", path)
        assert set(found["data"][0]) == set(example["data"][0])
    failed(quiet, quiet.account(), "no", "http://127.0.0.1:9/hook")
    for path in ("/queue", "/failures", "/callbacks", "/audit"):
        found, example = sent("get", path)
        assert set(found) == set(example)
        assert set(found["data"][0]) == set(example["data"][0])
    for path in ("/callbacks/{subject_id}/redeliver", "/callbacks/redeliver"):
        found, example = sent("post", path, subject_id=ask(quiet, admin, "GET", "/callbacks").json()["data"][0]["id"])
        assert shape(found) == shape(example)
    found, example = sent("get", "/status")
    assert set(found) == set(example)
    sent("delete", "/keys/{key_id}", key_id=key["id"])
    sent("delete", "/accounts/{account_id}", account_id=account_id)


def test_the_admin_api_can_be_switched_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("off"), worker=False, features_off="admin") as service:
        account: TestAccount = service.account(fund=Fund.PAID)
        key = service.core.accounts.create_key(account.account, {Scope.ADMIN}).key
        assert ask(service, bearer(key), "GET", "/accounts").status_code == 404
        assert "/v1/admin/accounts" not in json.dumps(service.client.get("/openapi.json").json())
