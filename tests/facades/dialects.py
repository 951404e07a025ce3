"""The four vendors' dialects behind one test interface: a small adapter each.

answer = dialect.submit(service, account, url)       # the raw answer; savesora's comes when the job has ended
outcome = dialect.cleaned(service, account, url)     # the job followed to its end
dialect.codes[...]                                   # what the vendor's document says for each cause
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx

from service.api.aidge_sign import sign_v2
from tests.service_process import JOB_SECONDS, Service, TestAccount

KINDS = ("too long", "too large", "wrong format", "resolution", "broken", "fetch refused", "fetch failed", "timeout")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: the dialect's code, and links to the clean file and, if the dialect has one, the original."""

    code: int
    clean_url: str | None = None
    source_url: str | None = None


class Dialect(Protocol):
    """One vendor's API. `media`: what it cleans; `codes`: by cause, of refusals and failed jobs; `success`: the code of a success."""

    @property
    def name(self) -> str: ...
    @property
    def media(self) -> str: ...
    @property
    def success(self) -> int: ...
    @property
    def codes(self) -> Mapping[str, int]: ...

    def submit(self, service: Service, account: TestAccount, url: str | None, **more: str) -> httpx.Response: ...
    def cleaned(self, service: Service, account: TestAccount, url: str) -> Outcome: ...
    def poll(self, service: Service, account: TestAccount, task_id: str) -> httpx.Response: ...
    def credits(self, service: Service, account: TestAccount) -> int | None: ...
    def code(self, answer: httpx.Response) -> int: ...
    def task(self, answer: httpx.Response) -> str: ...


def followed(dialect: "Kie | Kaze | Aidge", service: Service, account: TestAccount, url: str) -> Outcome:
    """Submit, then poll until the job has ended."""
    answer = dialect.submit(service, account, url)
    assert dialect.code(answer) == dialect.success, answer.text
    task_id = dialect.task(answer)
    service.wait(account, task_id)
    return dialect.outcome(dialect.poll(service, account, task_id).json())


@dataclass(frozen=True)
class Kie:
    name: str = "kie"
    media: str = "video"
    success: int = 200
    codes: Mapping[str, int] = field(
        default_factory=lambda: {
            **dict.fromkeys(("no key", "bad key", "banned", "deleted"), 401),
            **dict.fromkeys(("no address", "bad address", "unknown task", "content refused", "content blocked"), 422),
            **dict.fromkeys(("too long", "too large", "wrong format", "resolution", "broken"), 422),
            "no credits": 402,
            **dict.fromkeys(("queue full", "too many"), 429),
            "maintenance": 455,
            "feature off": 505,
            "content unanswered": 500,
            "fetch refused": 400,
            "fetch failed": 404,
            "timeout": 408,
        }
    )

    def submit(self, service: Service, account: TestAccount, url: str | None, **more: str) -> httpx.Response:
        body = {"model": "sora-watermark-remover", "input": {"video_url": url} if url else {}, **more}
        return service.client.post("/api/v1/jobs/createTask", headers=bearer(account), json=body)

    def cleaned(self, service: Service, account: TestAccount, url: str) -> Outcome:
        return followed(self, service, account, url)

    def poll(self, service: Service, account: TestAccount, task_id: str) -> httpx.Response:
        return service.client.get("/api/v1/jobs/recordInfo", headers=bearer(account), params={"taskId": task_id})

    def credits(self, service: Service, account: TestAccount) -> int | None:
        return int(service.client.get("/api/v1/chat/credit", headers=bearer(account)).json()["data"])

    def outcome(self, body: dict[str, Any]) -> Outcome:
        data = body["data"]
        if data["state"] == "fail":
            assert data["creditsConsumed"] == 0
            return Outcome(int(data["failCode"]))
        urls = json.loads(data["resultJson"])
        return Outcome(body["code"], urls["resultUrls"][0], urls["resultWaterMarkUrls"][0])

    def code(self, answer: httpx.Response) -> int:
        return int(answer.json()["code"])

    def task(self, answer: httpx.Response) -> str:
        return str(answer.json()["data"]["taskId"])


@dataclass(frozen=True)
class Aidge:
    name: str = "aidge"
    media: str = "video"
    success: int = 200
    codes: Mapping[str, int] = field(
        default_factory=lambda: {
            **dict.fromkeys(("no key", "bad key", "banned", "deleted"), 401),
            **dict.fromkeys(("no address", "unknown task"), 400),
            **dict.fromkeys(("bad address", "fetch refused", "fetch failed"), 900),
            **dict.fromkeys(("maintenance", "feature off", "timeout"), 500),
            **dict.fromkeys(("wrong format", "broken"), 702),
            "no credits": 402,
            **dict.fromkeys(("queue full", "too many"), 501),
            "content refused": 1000,
            "content unanswered": 1001,
            "content blocked": 1002,
            "too long": 700,
            "too large": 701,
            "resolution": 703,
        }
    )

    def submit(self, service: Service, account: TestAccount, url: str | None, **more: str) -> httpx.Response:
        body = {"videoUrl": url, "language": "en", **more}
        return service.client.post("/ai/video/removal", params=self.signed(account), json=body)

    def cleaned(self, service: Service, account: TestAccount, url: str) -> Outcome:
        return followed(self, service, account, url)

    def poll(self, service: Service, account: TestAccount, task_id: str) -> httpx.Response:
        return service.client.get("/rest/ai/video/removal/result", params={**self.signed(account), "taskId": task_id})

    def credits(self, service: Service, account: TestAccount) -> int | None:
        return None  # the dialect has no such endpoint

    def outcome(self, body: dict[str, Any]) -> Outcome:
        assert body["success"] == (body["data"]["taskStatus"] == "finished")
        return Outcome(body["resCode"], body["data"].get("videoUrl"))

    def code(self, answer: httpx.Response) -> int:
        return int(answer.json()["resCode"])

    def task(self, answer: httpx.Response) -> str:
        return str(answer.json()["data"]["taskId"])

    def signed(self, account: TestAccount) -> dict[str, str]:
        timestamp = str(int(time.time() * 1000))
        name = account.signer if account.key else ""
        sign = sign_v2(account.secret.encode(), timestamp)
        return {"app_key": name, "timestamp": timestamp, "sign_method": "sha256", "sign_ver": "v2", "sign": sign}


@dataclass(frozen=True)
class Kaze:
    name: str = "kaze"
    media: str = "image"
    success: int = 0
    codes: Mapping[str, int] = field(
        default_factory=lambda: {
            **dict.fromkeys(("no key", "bad key", "banned", "deleted"), 1002),
            **dict.fromkeys(("no address", "bad address", "unknown task", "content refused", "content blocked"), 1000),
            **dict.fromkeys(("too large", "wrong format", "resolution", "broken"), 1000),
            **dict.fromkeys(("queue full", "too many", "maintenance", "feature off", "content unanswered"), 1100),
            **dict.fromkeys(("fetch refused", "fetch failed"), 1101),
            "no credits": 1003,
            "timeout": 1103,
        }
    )

    def submit(self, service: Service, account: TestAccount, url: str | None, **more: str) -> httpx.Response:
        return self._post(service, account, "submit_watermark_removal", {"image_url": url, **more})

    def cleaned(self, service: Service, account: TestAccount, url: str) -> Outcome:
        return followed(self, service, account, url)

    def poll(self, service: Service, account: TestAccount, task_id: str) -> httpx.Response:
        return self._post(service, account, "get_task_result", {"task_id": task_id})

    def credits(self, service: Service, account: TestAccount) -> int | None:
        quota = self._post(service, account, "get_quota", {}).json()["data"]
        assert quota["limit"] == quota["usage"] + quota["remaining"]
        return int(quota["remaining"])

    def outcome(self, body: dict[str, Any]) -> Outcome:
        assert body["code"] == 0, "the query itself succeeds"
        data = body["data"]
        if data["status"] == "success":
            return Outcome(0, data["images"][0]["url"])
        assert data["err_msg"]
        assert (data["status"] == "timeout") == (data["err_code"] == 1103)
        return Outcome(data["err_code"])

    def code(self, answer: httpx.Response) -> int:
        return int(answer.json()["code"])

    def task(self, answer: httpx.Response) -> str:
        return str(answer.json()["data"]["task_id"])

    def _post(self, service: Service, account: TestAccount, endpoint: str, body: dict[str, Any]) -> httpx.Response:
        return service.client.post(f"/api/ext/v1/{endpoint}", headers=bearer(account), json=body)


@dataclass(frozen=True)
class SaveSora:
    name: str = "savesora"
    media: str = "video"
    success: int = 200
    codes: Mapping[str, int] = field(
        default_factory=lambda: {
            **dict.fromkeys(("queue full", "too many", "maintenance", "feature off", "content unanswered"), 5001),
            **dict.fromkeys((*KINDS, "content refused", "content blocked"), 5002),
            "no key": 4001,
            "no address": 4002,
            "bad key": 4003,
            "deleted": 4004,
            "banned": 4005,
            "bad address": 4006,
            "no credits": 4007,
        }
    )

    def submit(self, service: Service, account: TestAccount, url: str | None, **more: str) -> httpx.Response:
        return service.client.post("/api/v1/download", json={"api_key": account.key, "video_url": url, **more}, timeout=JOB_SECONDS)

    def cleaned(self, service: Service, account: TestAccount, url: str) -> Outcome:
        body = self.submit(service, account, url).json()
        if body["code"] != self.success:
            return Outcome(body["code"])
        links = body["data"]["download_links"]
        return Outcome(body["code"], links["mp4"], links["mp4_source"])

    def poll(self, service: Service, account: TestAccount, task_id: str) -> httpx.Response:
        raise NotImplementedError("the dialect answers when the job has ended")

    def credits(self, service: Service, account: TestAccount) -> int | None:
        answer = service.client.post("/api/v1/credits", json={"api_key": account.key})
        return int(answer.json()["data"]["total_credits"])

    def code(self, answer: httpx.Response) -> int:
        return int(answer.json()["code"])

    def task(self, answer: httpx.Response) -> str:
        raise NotImplementedError("the dialect answers when the job has ended")


def bearer(account: TestAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key}"} if account.key else {}


def without_key(account: TestAccount) -> TestAccount:
    return replace(account, key="")


def with_wrong_key(account: TestAccount) -> TestAccount:
    return replace(account, key="cp_wrong", signer="nobody", secret="wrong")


DIALECTS: tuple[Dialect, ...] = (SaveSora(), Kie(), Kaze(), Aidge())
