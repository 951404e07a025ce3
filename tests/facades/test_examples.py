"""Every example in the OpenAPI document is true: each request is sent, and each response is reproduced."""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from service.api import kie_docs
from service.api.parameters import file_of
from service.api.rates import READ, SUBMIT
from service.errors import RateLimited
from tests.facades.dialects import Aidge, Kaze, Kie, with_wrong_key
from tests.service_process import Service, TestAccount

Request = dict[str, Any]  # arguments for httpx
JSON = "application/json"
DONE = {"cleaned", "created", "succeeded", "credits", "link", "uploaded", "submitted", "finished", "quota", "done"}
MISSING = {"incomplete", "refused"}  # the first required parameter is omitted
WAITED_FOR = "/api/v1/download"  # of other submissions only the acceptance is checked; their jobs are ended at once
UNSAID = ("requestId", "request_id")  # different each time


@dataclass(frozen=True)
class Reader:
    """A client that tries the document's examples. `tasks`: an ended one for each facade."""

    service: Service
    account: TestAccount
    tasks: Mapping[str, str]
    link: str
    aidge: Aidge = field(default_factory=Aidge)

    def request(self, path: str, method: str, operation: dict[str, Any]) -> Request:
        """The operation's example request with real URLs, tasks and keys."""
        documented = {each["name"]: example_of(each) for each in operation.get("parameters", []) if each["in"] == "query"}
        body = operation.get("requestBody", {}).get("content", {})
        request: Request = {"method": method, "url": path, "headers": {"Authorization": f"Bearer {self.account.key}"}}
        if "removal" in path and path.startswith(("/ai", "/rest")):
            documented |= self.aidge.signed(self.account)
        request["params"] = {name: self.real(path, name, value) for name, value in documented.items() if value is not None}
        if JSON in body:
            request["json"] = self.real(path, "", body[JSON]["example"])
        elif "multipart/form-data" in body:
            request["data"] = dict(body["multipart/form-data"]["example"])
            request["files"] = {"file": ("clip.png", kie_pixel())}
            request["data"].pop("file")
        return request

    def real(self, path: str, name: str, value: Any) -> Any:
        """The real value for an example's value."""
        if isinstance(value, dict):
            return {key: self.real(path, key, part) for key, part in value.items()}
        known: dict[str, Callable[[], str]] = {
            "api_key": lambda: self.account.key,
            "taskId": lambda: self.tasks["aidge" if "/ai/" in path else "kie"],
            "task_id": lambda: self.tasks["kaze"],
            "callBackUrl": lambda: self.service.host.callback("/example"),
            "url": lambda: self.link,
            "fileUrl": lambda: self.service.video_url("image"),
            "smear_url": lambda: self.service.video_url("smear"),
            "video_url": lambda: self.service.video_url("marked" if path == WAITED_FOR else "missing"),
            "videoUrl": lambda: self.service.video_url("missing"),
            "image_url": lambda: self.service.video_url("missing"),
            "source_url": lambda: self.service.video_url("marked"),
        }
        return known[name]() if name in known else value

    def ask(self, request: Request) -> httpx.Response:
        return self.service.client.request(**request)

    def denied(self, request: Request) -> Request:
        """The same with an unknown key."""
        stranger = with_wrong_key(self.account)
        body = request.get("json", {})
        changed = {**request, "headers": {"Authorization": f"Bearer {stranger.key}"}}
        return changed | ({"json": body | {"api_key": stranger.key}} if "api_key" in body else {})

    def poor(self) -> "Reader":
        """A client without credits."""
        return replace(self, account=self.service.account(credits=0))


def example_of(parameter: dict[str, Any]) -> Any:
    found = parameter.get("content", {}).get(JSON, parameter).get("example")
    return json_text(found) if isinstance(found, list) else found


def json_text(value: object) -> str:
    return str(httpx.Request("POST", "http://example.com", json=value).content, "utf-8")


def kie_pixel() -> bytes:
    file = file_of({"pixel": kie_docs.PIXEL}, "pixel", 2**20)
    assert file is not None
    return file.read()


def without_first(request: Request, names: list[str]) -> Request:
    """A request that lacks the first of these parameters."""
    if "files" in request:
        return request | {"files": {"another": request["files"]["file"]}}
    place = next(place for place in ("json", "data", "params") if any(name in request.get(place, {}) for name in names))
    first = next(name for name in names if name in request[place])
    return {**request, place: {name: value for name, value in request[place].items() if name != first}}


def shape(value: Any) -> Any:
    """Names and types, recursively."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if name not in UNSAID}
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def message_of(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in UNSAID}


@pytest.fixture(scope="module")
def reader(service: Service) -> Reader:
    account = service.account()
    kie, dialects = Kie(), (Kie(), Kaze(), Aidge())
    with ThreadPoolExecutor() as pool:
        waiting = {dialect.name: pool.submit(ended, service, account, dialect) for dialect in dialects}
    tasks = {name: future.result() for name, future in waiting.items()}
    link = kie.outcome(kie.poll(service, account, tasks["kie"]).json()).clean_url
    assert link
    return Reader(service, account, tasks, link)


def ended(service: Service, account: TestAccount, dialect: Kie | Kaze | Aidge) -> str:
    """A task that has succeeded."""
    url = service.video_url("image" if dialect.media == "image" else "marked")
    task_id = dialect.task(dialect.submit(service, account, url))
    service.wait(account, task_id)
    return task_id


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get("/openapi.json").json()
    return found


def test_every_example_of_the_dialects_is_true(reader: Reader, document: dict[str, Any], subtests: pytest.Subtests) -> None:
    tried = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for name, example in operation["responses"].get("200", {}).get("content", {}).get(JSON, {}).get("examples", {}).items():
                tried += 1
                with subtests.test(f"{method} {path}: {name}"):
                    answer = asked(reader, path, method, operation, name)
                    assert answer.status_code == 200
                    check(name, answer.json(), example["value"])
            if "429" in operation["responses"] and not path.startswith("/v1"):
                answer = asked(reader, path, method, operation, "limited")
                assert answer.json() == operation["responses"]["429"]["content"][JSON]["example"]
                assert answer.headers["retry-after"]
    assert tried >= 40


def asked(reader: Reader, path: str, method: str, operation: dict[str, Any], name: str) -> httpx.Response:
    """The response to a request that reproduces the named example."""
    request = reader.request(path, method, operation)
    if name in ("denied", "invalid_key"):
        request = reader.denied(request)
    elif name == "unsigned":
        request["params"]["sign"] = "0" * 64
    elif name == "no_credits":
        request = reader.poor().request(path, method, operation)
    elif name == "unknown":
        place = "json" if "json" in request else "params"
        request[place] = dict.fromkeys(request[place], "no-such-task")
    elif name == "foreign":
        request["json"] = operation["requestBody"]["content"][JSON]["example"]
    elif name == "limited":
        limited = replace(reader, account=reader.service.account())
        exhaust(limited)
        request = limited.request(path, method, operation)
    elif name in MISSING:
        schema = operation.get("requestBody", {}).get("content", {})
        required = next(iter(schema.values()))["schema"].get("required") if schema else None
        request = without_first(request, required or ["image_url", "videoUrl", "taskId"])
    else:
        assert name in DONE, f"an example that no test knows: {name}"
    return reader.ask(request)


def exhaust(reader: Reader) -> None:
    """Count as many requests as the account may send."""
    for kind in (SUBMIT, READ):
        with suppress(RateLimited):
            while True:
                reader.service.context.rates.count(reader.account.id, kind)


def check(name: str, answer: dict[str, Any], example: dict[str, Any]) -> None:
    """Check for the same shape on success, and the same message on failure."""
    if name in DONE or name == "limited":  # which names the limit
        assert shape(answer) == shape(example)
    else:
        assert message_of(answer) == message_of(example)


def test_every_example_of_the_native_api_is_true(reader: Reader, document: dict[str, Any]) -> None:
    service, paths = reader.service, document["paths"]
    headers = reader.account.bearer | {"Idempotency-Key": "example"}
    body = reader.real("/v1", "", paths["/v1/jobs"]["post"]["requestBody"]["content"][JSON]["example"])

    def example(path: str, method: str = "get", status: str = "200") -> Any:
        return shape(paths[path][method]["responses"][status]["content"][JSON]["example"])

    created = service.client.post("/v1/jobs", headers=headers, json=body)
    assert (created.status_code, shape(created.json())) == (201, example("/v1/jobs", "post", "201"))
    again = service.client.post("/v1/jobs", headers=headers, json=body)
    assert again.status_code == 200
    job_id = created.json()["id"]
    with service.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=reader.account.bearer) as events:
        lines = {line.partition(":")[0] for line in events.iter_lines() if line and not line.startswith(":")}
    documented = paths["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]["example"]
    assert lines == {line.partition(":")[0] for line in documented.splitlines() if line}
    for path, url in (("/v1/jobs/{job_id}", f"/v1/jobs/{job_id}"), ("/v1/jobs", "/v1/jobs?limit=1"), ("/v1/account", "/v1/account")):
        found = service.client.get(url, headers=reader.account.bearer).json()
        assert shape(found | ({"next_cursor": None} if "next_cursor" in found else {})) == example(path)
    assert service.client.get(f"/v1/jobs/{job_id}/result", headers=reader.account.bearer).status_code == 303
    wanted = paths["/v1/estimate"]["post"]["requestBody"]["content"][JSON]["example"]
    estimate = service.client.post("/v1/estimate", headers=reader.account.bearer, json=wanted).json()
    assert shape(estimate) == example("/v1/estimate", "post")
    assert estimate["measured_jobs"] >= 1
    assert service.client.delete(f"/v1/jobs/{job_id}", headers=reader.account.bearer).status_code == 204
    fields = paths["/api/file-base64-upload"]["post"]["requestBody"]["content"][JSON]["example"]
    uploaded = service.client.post("/api/file-base64-upload", headers=reader.account.bearer, json=fields).json()["data"]
    assert service.client.delete(f"/v1/uploads/{uploaded['fileId']}", headers=reader.account.bearer).status_code == 204


def test_a_cancelled_job_matches_the_document(reader: Reader, document: dict[str, Any]) -> None:
    service = reader.service
    release = service.host.hold("/example.mp4", b"")
    bearer = reader.account.bearer
    ids = [
        service.client.post("/v1/jobs", headers=bearer, json={"source_url": f"{service.host.url}/example.mp4"}).json()["id"]
        for _ in range(6)
    ]
    waiting = service.client.post(f"/v1/jobs/{ids[-1]}/cancel", headers=bearer).json()  # the worker runs two jobs at once
    release.set()
    documented = document["paths"]["/v1/jobs/{job_id}/cancel"]["post"]["responses"]["200"]["content"][JSON]["example"]
    assert shape(waiting) == shape(documented)
    assert waiting["error"] == documented["error"]


def test_the_operations_endpoints_match_the_document(service: Service, document: dict[str, Any]) -> None:
    for path in ("/healthz", "/readyz"):
        documented = document["paths"][path]["get"]["responses"]["200"]["content"][JSON]["example"]
        assert service.client.get(path).json() == documented


def test_the_document_keeps_nulls_in_examples(document: dict[str, Any]) -> None:
    answers = document["paths"]["/api/v1/jobs/recordInfo"]["get"]["responses"]["200"]["content"][JSON]["examples"]
    assert answers["succeeded"]["value"]["data"] == kie_docs.RECORD
    assert not re.search(r"#/\$defs", str(document))
