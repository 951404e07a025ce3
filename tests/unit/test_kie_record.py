"""The kie facade's task records and callbacks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.api.kie import callback, record
from service.errors import ModelError, NotMedia
from service.jobs.job import Failure, Job, JobSpec, Result, State
from service.outside.links import Links
from service.outside.storage import Storage

POST = "https://sora.chatgpt.com/p/s_68e83bd7eee88191be79d2ba7158516f"
TASK_ID = "task_sora-watermark-remover_1765183831860"
JOB = Job(
    id=TASK_ID,
    account_id=1,
    facade="kie",
    state=State.SUCCEEDED,
    spec=JobSpec("video", source_url=POST),
    request={"callBackUrl": "https://example.com/callback", "input": {"video_url": POST}},
    callback_url="https://example.com/callback",
    price_credits=1,
    progress_percent=100,
    attempts=1,
    created_ms=1698765400000,
    updated_ms=1698765432000,
    started_ms=1698765417000,
    finished_ms=1698765432000,
    failure=None,
    result=Result("jobs/1/clean.mp4", "jobs/1/source.mp4", "jobs/1/thumbnail.jpg", "video/mp4", 1, 1, True, 1.0),
    post=None,
)


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links("https://example.com", b"secret", Storage.open(str(tmp_path)))


def test_a_record_is_as_documented(links: Links) -> None:
    data = record(JOB, links, 60)
    result = json.loads(data.pop("resultJson"))
    assert list(result) == ["resultUrls", "resultWaterMarkUrls"]
    assert json.dumps(data, separators=(",", ":")) == (
        '{"taskId":"task_sora-watermark-remover_1765183831860","model":"sora-watermark-remover","state":"success",'
        '"param":"{\\"model\\":\\"sora-watermark-remover\\",\\"callBackUrl\\":\\"https://example.com/callback\\",'
        '\\"input\\":\\"{\\\\\\"video_url\\\\\\":\\\\\\"https://sora.chatgpt.com/p/s_68e83bd7eee88191be79d2ba7158516f\\\\\\"}\\"}",'
        '"failCode":null,"failMsg":null,"costTime":15000,"completeTime":1698765432000,"createTime":1698765400000,'
        '"updateTime":1698765432000,"progress":100,"creditsConsumed":1}'
    )


def test_the_callback_of_a_success(links: Links) -> None:
    sent = callback(JOB, links, 600)
    assert sent.task_id == TASK_ID
    assert (sent.body["code"], sent.body["msg"]) == (200, "Playground task completed successfully.")
    assert sent.body["taskId"] == TASK_ID
    assert sent.body["data"] == record(JOB, links, 600) | {"costTime": 15, "task_id": TASK_ID, "callbackType": "task_completed"}


@pytest.mark.parametrize(
    ("error", "code"), [(ModelError("the weights are damaged"), "501"), (NotMedia("not a video"), "422"), (KeyError("/secret/path"), "500")]
)
def test_the_callback_of_a_failure(links: Links, error: Exception, code: str) -> None:
    failed = replace(JOB, state=State.FAILED, result=None, failure=Failure.of(error))
    body = callback(failed, links, 600).body
    assert (body["code"], body["msg"]) == (501, "Playground task failed.")
    data = body["data"]
    assert (data["state"], data["resultJson"], data["failCode"], data["creditsConsumed"]) == ("fail", None, code, 0)
    assert data["failMsg"]
    assert "secret" not in json.dumps(body)


def test_a_cancelled_task_has_failed(links: Links) -> None:
    data = record(replace(JOB, state=State.CANCELLED, result=None), links, 60)
    assert (data["state"], data["failCode"], data["failMsg"]) == ("fail", "501", "the task was cancelled")
