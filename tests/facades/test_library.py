"""What a person does with many jobs: names, search, one archive of all results, and the limits beforehand."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.api.native import FACADE
from tests.workerless_server import CLEAN, Customer, WorkerlessServer, workerless_server

MP4 = b"\x00\x00\x00\x18ftypmp42"
URL = "http://127.0.0.1:9/films/my%20film.mp4"  # never fetched, as there is no worker


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("library"), FACADE) as server:
        yield server


def uploaded(server: WorkerlessServer, customer: Customer, name: str, **options: Any) -> dict[str, Any]:
    form = {"files": {"file": (name, MP4)}, "data": {"options": json.dumps(options)}}
    answer = server.client.post("/v1/jobs", headers=customer.bearer, **form)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def shown(server: WorkerlessServer, customer: Customer, job_id: str) -> dict[str, Any]:
    return dict(server.client.get(f"/v1/jobs/{job_id}", headers=customer.bearer).json())


def packed(server: WorkerlessServer, customer: Customer, ids: list[str]) -> httpx.Response:
    return server.client.post("/v1/archives", headers=customer.bearer, json={"jobs": ids})


def test_a_file_keeps_its_name_and_its_result_is_called_after_it(server: WorkerlessServer) -> None:
    customer = server.customer()
    job = uploaded(server, customer, "假期.mov")
    assert job["name"] == "假期.mov"
    server.succeed(job["id"])
    result = shown(server, customer, job["id"])["result"]
    assert result["name"] == "假期_clean.mp4"
    saved = server.client.get(httpx.URL(result["url"]).copy_merge_params({"download": "true"}))
    assert saved.headers["content-disposition"].startswith("attachment")
    assert "%E5%81%87%E6%9C%9F_clean.mp4" in saved.headers["content-disposition"]


def test_a_url_has_a_name_and_an_order_may_say_another(server: WorkerlessServer) -> None:
    customer = server.customer()
    for said, name in (({}, "my film.mp4"), ({"name": "b.mp4"}, "b.mp4")):
        job = server.client.post("/v1/jobs", headers=customer.bearer, json={"source_url": URL, **said}).json()
        assert job["name"] == name
    refused = server.client.post("/v1/jobs", headers=customer.bearer, json={"source_url": URL, "name": "a/b.mp4"})
    assert refused.status_code == 422


def test_a_job_can_be_renamed_by_its_account_only(server: WorkerlessServer) -> None:
    customer, stranger = server.customer(), server.customer()
    job = uploaded(server, customer, "a.mp4")
    path = f"/v1/jobs/{job['id']}"
    assert server.client.patch(path, headers=customer.bearer, json={"name": "b.mp4"}).json()["name"] == "b.mp4"
    assert shown(server, customer, job["id"])["name"] == "b.mp4"
    assert server.client.patch(path, headers=stranger.bearer, json={"name": "c.mp4"}).status_code == 404
    assert server.client.patch(path, headers=customer.bearer, json={"name": ""}).status_code == 422


def test_jobs_are_found_by_name_state_and_files(server: WorkerlessServer) -> None:
    customer = server.customer()
    holiday, birthday, percent = (uploaded(server, customer, name)["id"] for name in ("Holiday.mp4", "birthday.mp4", "100%.mp4"))
    server.succeed(holiday)
    server.succeed(birthday)
    server.client.delete(f"/v1/jobs/{birthday}", headers=customer.bearer)

    def found(**query: Any) -> list[str]:
        return [each["id"] for each in server.client.get("/v1/jobs", headers=customer.bearer, params=query).json()["data"]]

    assert found(name="holi") == [holiday]
    assert found(name="day") == [birthday, holiday]
    assert found(name="%") == [percent]
    assert found(state="succeeded", with_files=True) == [holiday]
    assert found(name="day", state="queued") == []
    assert server.client.get("/v1/jobs?name=%00", headers=customer.bearer).status_code == 422


def test_results_are_packed_in_order_under_their_names(server: WorkerlessServer) -> None:
    customer = server.customer()
    ids = [uploaded(server, customer, name)["id"] for name in ("b.mp4", "a.mp4", "b.mp4", "waits.mp4")]
    for job_id in ids[:3]:
        server.succeed(job_id)
    answer = packed(server, customer, ids).json()
    assert answer["files"] == 3
    download = server.client.get(answer["url"])
    assert download.headers["content-type"] == "application/zip"
    assert "cleanplate.zip" in download.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(download.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["b_clean.mp4", "a_clean.mp4", "b_clean (2).mp4"]
        assert {archive.read(name) for name in archive.namelist()} == {CLEAN}


def test_nothing_to_pack_and_jobs_of_others_are_refused(server: WorkerlessServer) -> None:
    customer, stranger = server.customer(), server.customer()
    job = uploaded(server, customer, "a.mp4")["id"]
    assert packed(server, customer, [job]).status_code == 409
    server.succeed(job)
    assert packed(server, stranger, [job]).status_code == 404
    assert packed(server, customer, []).status_code == 422


def test_a_link_to_an_archive_holds_for_nothing_else(server: WorkerlessServer) -> None:
    customer = server.customer()
    one, other = (uploaded(server, customer, "a.mp4")["id"] for _ in range(2))
    for job_id in (one, other):
        server.succeed(job_id)
    url = httpx.URL(packed(server, customer, [one]).json()["url"])
    for changed in ({"jobs": other}, {"account": "1"}, {"expires": "9999999999"}, {"signature": ""}):
        assert server.client.get(url.copy_merge_params(changed)).status_code == 403, changed
    assert server.client.get(url).status_code == 200


def test_the_limits_and_prices_are_told(server: WorkerlessServer) -> None:
    limits = server.client.get("/v1/limits", headers=server.customer().bearer).json()
    assert (limits["file_bytes"], limits["duration_seconds"], limits["video_credits"], limits["detection_credits"]) == (
        200 * 2**20,
        360,
        1,
        0,
    )


def test_what_was_marked_is_repeated(server: WorkerlessServer) -> None:
    box = {"x1": 0.1, "y1": 0.1, "x2": 0.2, "y2": 0.2, "first_seconds": 1.0, "last_seconds": 2.0}
    job = uploaded(server, server.customer(), "a.mp4", boxes=[box], keep=[box], reject=["0123abcd"])
    assert (job["boxes"], job["keep"], job["reject"]) == ([box | {"end": None}], [box | {"end": None}], ["0123abcd"])
