"""One contract for all four dialects: each cause has the code that the vendor documents, and no credit is ever lost."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.job_watcher import JobWatcher
from service.api.rates import READ, SUBMIT, Rates
from service.core import FACADES
from service.errors import CleanplateError, ContentBlocked, ContentCheckFailed, ContentRefused
from service.jobs.credits import Kind
from service.jobs.database import now_ms
from service.jobs.job import JobSpec, NewJob, new_id
from service.jobs.job_service import JobService, Rules
from service.jobs.ledger import lines
from service.outside.post import signature
from tests.facades.dialects import DIALECTS, Dialect, Outcome, with_wrong_key, without_key
from tests.service_process import FILE_BYTES, Service, TestAccount, file, running, serving

FILES = {  # the file served for a cause, for videos and for images; an image has no duration
    "too long": ("long", None),
    "too large": ("huge", "huge_image"),
    "wrong format": ("wrong_format", "wrong_format"),
    "resolution": ("large", "large_image"),
    "broken": ("broken", "broken_image"),
    "fetch refused": ("missing", "missing"),
    "fetch failed": ("down", "down"),
}
POLLED = [dialect for dialect in DIALECTS if dialect.name != "savesora"]
FAULTS = [(dialect, cause) for dialect, cause in product(DIALECTS, FILES) if FILES[cause][dialect.media == "image"]]
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
each_polled = pytest.mark.parametrize("dialect", POLLED, ids=lambda dialect: dialect.name)


@dataclass(frozen=True)
class Case:
    """A submitted job and its account."""

    account: TestAccount
    finalizer: Future[Outcome]


Cases = dict[tuple[str, str], Case]


@pytest.fixture(scope="module")
def cases(service: Service) -> Iterator[Cases]:
    """A good job and one for each fault, in each dialect, submitted together; each test waits for its own."""
    begun: Cases = {}
    wanted = [*product(DIALECTS, ["good"]), *FAULTS]
    with ThreadPoolExecutor(len(wanted)) as pool:
        for dialect, cause in wanted:
            account = service.account(credits=2)
            ending = pool.submit(dialect.cleaned, service, account, address(service, dialect, cause))
            begun[dialect.name, cause] = Case(account, ending)
        yield begun


def address(service: Service, dialect: Dialect, cause: str = "good") -> str:
    """The URL of a good file, or of one that fails for this cause."""
    is_image = dialect.media == "image"
    kind = FILES[cause][is_image] if cause in FILES else "image" if is_image else "marked"
    if kind in ("huge_image", "broken_image"):
        data = file("image")[0]
        return service.host.serve(f"/{kind}.png", data + bytes(FILE_BYTES) if kind == "huge_image" else data[:200])
    return service.video_url(str(kind))


@contextmanager
def behind(service: Service, rates: Rates | None = None, **rules: Any) -> Iterator[Service]:
    """The same service with other rules."""
    core, context = service.core, service.context
    job_service = JobService(core.database, core.accounts, core.queues, core.finalizer, Rules(**rules))
    changed = replace(context, job_service=job_service, rates=rates or context.rates, watcher=JobWatcher(job_service, 100, 100))
    app = FastAPI()
    for facade in FACADES.values():
        app.include_router(facade.router(changed))
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(app, listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield replace(service, url=url, client=client)


def assert_refused(dialect: Dialect, answer: httpx.Response, cause: str) -> None:
    """Check for the documented code with HTTP 200 and a message that reveals nothing about the machine."""
    assert (answer.status_code, dialect.code(answer)) == (200, dialect.codes[cause]), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert "Traceback" not in answer.text
    assert "/" not in answer.text.replace("\\/", "/").replace("text/", "")


def assert_untouched(service: Service, account: TestAccount, credits: int) -> None:
    balance = service.context.job_service.balance(account.id)
    assert (balance.total_credits, balance.held_credits) == (credits, 0)


# From submission to the end.


@each_dialect
def test_a_job_is_cleaned_charged_once_and_its_files_are_there(service: Service, cases: Cases, dialect: Dialect) -> None:
    case = cases[dialect.name, "good"]
    outcome = case.finalizer.result()
    assert outcome.code == dialect.success
    assert outcome.clean_url
    original = file("image" if dialect.media == "image" else "marked")[0]
    clean = service.client.get(outcome.clean_url)
    assert clean.headers["content-type"] == ("image/png" if dialect.media == "image" else "video/mp4")
    assert len(clean.content) > 500
    assert clean.content != original
    if outcome.source_url:
        assert service.client.get(outcome.source_url).content == original
    assert_untouched(service, case.account, 1)
    assert dialect.credits(service, case.account) in (1, None)


@pytest.mark.parametrize(("dialect", "cause"), FAULTS, ids=lambda value: value if isinstance(value, str) else value.name)
def test_a_failed_job_has_the_code_of_its_cause_and_is_refunded(service: Service, cases: Cases, dialect: Dialect, cause: str) -> None:
    case = cases[dialect.name, cause]
    assert case.finalizer.result() == Outcome(dialect.codes[cause])
    assert_untouched(service, case.account, 2)
    with service.core.database.read() as connection:
        assert [row.kind for row in lines(connection, case.account.id)] == [Kind.GRANT, Kind.RESERVE, Kind.REFUND]


@each_dialect
def test_a_malformed_share_link_is_refused_at_once(service: Service, dialect: Dialect) -> None:
    account = service.account(credits=1)
    for url in ("https://sora.chatgpt.com/p/s_68dc40f1", "https://sora.chatgpt.com/explore", "http://www.sora.com/"):
        assert_refused(dialect, dialect.submit(service, account, url), "bad address")
    assert service.context.job_service.jobs(account.id, 1) == []


@each_dialect
def test_urls_within_our_own_network_are_not_fetched(service: Service, dialect: Dialect) -> None:
    account = service.account(credits=1)
    assert dialect.cleaned(service, account, "http://169.254.169.254/latest/meta-data") == Outcome(dialect.codes["fetch refused"])
    assert_untouched(service, account, 1)


def test_a_job_that_takes_too_long_fails_and_is_refunded(tmp_path: Path) -> None:
    with running(tmp_path, job_seconds="0.5", hold_seconds="60") as hasty:
        url = hasty.host.trickle("/endless.mp4")
        accounts = [hasty.account(credits=1) for _ in DIALECTS]
        with ThreadPoolExecutor() as pool:
            ends = [pool.submit(dialect.cleaned, hasty, account, url) for dialect, account in zip(DIALECTS, accounts, strict=True)]
        assert [end.result() for end in ends] == [Outcome(dialect.codes["timeout"]) for dialect in DIALECTS]
        for account in accounts:
            assert_untouched(hasty, account, 1)


@each_polled
def test_a_task_is_visible_only_to_its_owner_and_its_facade(service: Service, dialect: Dialect) -> None:
    owner, other = service.account(), service.account()
    native = NewJob(new_id("job_", now_ms()), owner.id, "native", JobSpec("video", source_url=service.video_url("missing")))
    service.context.job_service.submit(native)
    task_id = dialect.task(dialect.submit(service, owner, address(service, dialect, "fetch refused")))
    for account, asked in ((other, task_id), (owner, "no-such-task"), (owner, "a\0b"), (owner, native.id)):
        assert_refused(dialect, dialect.poll(service, account, asked), "unknown task")
    assert dialect.poll(service, owner, task_id).status_code == 200


# Unauthorised callers, and requests that are refused.


@each_dialect
def test_unauthorised_callers_are_refused(service: Service, dialect: Dialect) -> None:
    url = address(service, dialect)
    account, banned, gone = (service.account() for _ in range(3))
    service.ban(banned)
    service.delete(gone)
    who = {"no key": without_key(account), "bad key": with_wrong_key(account), "banned": banned, "deleted": gone}
    for cause, asking in who.items():
        assert_refused(dialect, dialect.submit(service, asking, url), cause)
        assert_untouched(service, account, 100)


@each_dialect
def test_impossible_requests_are_refused(service: Service, dialect: Dialect) -> None:
    account, poor = service.account(), service.account(credits=0)
    assert_refused(dialect, dialect.submit(service, poor, address(service, dialect)), "no credits")
    assert_refused(dialect, dialect.submit(service, account, None), "no address")
    for url in ("ftp://example.com/video.mp4", "video.mp4", "http://", "http://user:word@example.com/video.mp4"):
        assert_refused(dialect, dialect.submit(service, account, url), "bad address")
    assert service.context.job_service.jobs(account.id, 10) == []
    assert_untouched(service, account, 100)


@dataclass(frozen=True)
class Censor:
    """A content check that raises this error."""

    error: CleanplateError

    def check(self, _wish: JobSpec) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("rules", "cause"),
    [
        ({"maintenance": True}, "maintenance"),
        ({"features_off": frozenset(FACADES)}, "feature off"),
        ({"features_off": frozenset({"video", "image"})}, "feature off"),
        ({"content": Censor(ContentRefused("no"))}, "content refused"),
        ({"content": Censor(ContentCheckFailed("asleep"))}, "content unanswered"),
        ({"content": Censor(ContentBlocked("never"))}, "content blocked"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_content_refusal_has_its_code(service: Service, rules: dict[str, Any], cause: str) -> None:
    with behind(service, **rules) as strict:
        for dialect in DIALECTS:
            account = service.account(credits=1)
            assert_refused(dialect, dialect.submit(strict, account, address(service, dialect)), cause)
            assert_untouched(service, account, 1)


@pytest.mark.parametrize("limit", ["account_queue_jobs", "total_queue_jobs"])
def test_a_full_queue_refuses_jobs(service: Service, limit: str) -> None:
    release = service.host.hold("/held.mp4", file("marked")[0])
    with behind(service, None, **{limit: 1}) as full:
        for dialect in DIALECTS:
            account = service.account()
            held = NewJob(new_id("job_", now_ms()), account.id, "native", JobSpec("video", source_url=f"{service.host.url}/held.mp4"))
            service.context.job_service.submit(held)
            assert_refused(dialect, dialect.submit(full, account, address(service, dialect)), "queue full")
            service.context.job_service.cancel(account.id, held.id)
    release.set()


@each_dialect
def test_rate_limited_callers_get_a_retry_after(service: Service, dialect: Dialect) -> None:
    account = service.account(credits=0)
    with behind(service, Rates({SUBMIT: "2/10 second", READ: "600/10 second"})) as slow:
        answers = [dialect.submit(slow, account, address(service, dialect)) for _ in range(3)]
        other = dialect.submit(slow, service.account(credits=0), address(service, dialect))
    assert [answer.status_code for answer in (*answers, other)] == [200, 200, 429 if dialect.name == "kie" else 200, 200]
    assert dialect.code(answers[2]) == dialect.codes["too many"]
    assert answers[2].json()["data"] == (None if dialect.name == "kie" else {})
    assert 1 <= int(answers[2].headers["retry-after"]) <= 10
    assert [answer.headers["ratelimit-policy"] for answer in answers] == ['"submit";q=2;w=10'] * 3
    left = [re.fullmatch(r'"submit";r=(\d+);t=(\d+)', answer.headers["ratelimit"]) for answer in answers]
    assert [(int(each[1]), 1 <= int(each[2]) <= 10) for each in left if each] == [(1, True), (0, True), (0, True)]


def test_a_file_that_is_no_media_is_stored_and_its_job_fails(service: Service) -> None:
    kie, account = POLLED[0], service.account(credits=1)
    fields = {"base64Data": "bm8gbWVkaWEgYXQgYWxs", "fileName": "notes.txt"}
    uploaded = service.client.post("/api/file-base64-upload", headers=account.bearer, json=fields).json()["data"]
    assert kie.cleaned(service, account, uploaded["downloadUrl"]) == Outcome(kie.codes["wrong format"])
    assert_untouched(service, account, 1)


@each_dialect
def test_a_file_that_arrived_in_pieces_is_a_source(service: Service, dialect: Dialect) -> None:
    account, data = service.account(credits=1), file("image" if dialect.media == "image" else "marked")[0]
    tus = account.bearer | {"Tus-Resumable": "1.0.0"}
    path = service.client.post("/v1/uploads/resumable", headers=tus | {"Upload-Length": str(len(data))}).headers["location"]
    for start, end in ((0, 1000), (1000, len(data))):
        headers = tus | {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        assert service.client.patch(path, content=data[start:end], headers=headers).headers["upload-offset"] == str(end)
    url = service.client.get(path.replace("/resumable", ""), headers=account.bearer).json()["url"]
    assert dialect.cleaned(service, account, url).code == dialect.success


# Callbacks, which only kie has.


@pytest.mark.parametrize(("cause", "code", "words"), [("good", 200, "completed successfully"), ("fetch refused", 501, "failed")])
def test_a_tasks_end_is_reported_by_a_signed_callback(service: Service, cause: str, code: int, words: str) -> None:
    kie, account = POLLED[0], service.account()
    url = service.host.callback(f"/kie-{code}")
    task_id = kie.task(kie.submit(service, account, address(service, kie, cause), callBackUrl=url))
    service.wait(account, task_id)
    (callback,) = service.host.wait_for_posts(1, f"/kie-{code}")
    assert callback.headers["X-Webhook-Signature"] == signature("whsec_test", task_id, int(callback.headers["X-Webhook-Timestamp"]))
    body = json.loads(callback.body)
    record = kie.poll(service, account, task_id).json()["data"]
    assert (body["code"], body["msg"]) == (code, f"Playground task {words}.")
    same = {"taskId", "model", "state", "param", "failCode", "failMsg", "completeTime", "createTime", "progress", "creditsConsumed"}
    assert {name: body["data"][name] for name in same} == {name: record[name] for name in same}
    assert body["taskId"] == body["data"]["taskId"] == body["data"]["task_id"] == task_id
    assert body["data"]["callbackType"] == "task_completed"
    assert body["data"]["costTime"] == round(record["costTime"] / 1000)
