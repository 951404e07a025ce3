"""Requests that no endpoint takes: each dialect answers them in its own words, and `Allow` names every method of the path."""

from collections.abc import Iterator

import pytest

from service.core import FACADES
from tests.workerless_server import WorkerlessServer, workerless_server

UNKNOWN = {  # a path below each dialect's prefix -> HTTP status, the field with its code, and the code
    "/api/v1/jobs/unknown": (404, "code", 404),
    "/api/v1/jobs/recordInfo/more": (404, "code", 404),
    "/api/ext/v1/unknown": (200, "code", 1000),
    "/api/ext": (200, "code", 1000),
    "/ai/video/unknown": (200, "resCode", 404),
    "/rest/unknown": (200, "resCode", 404),
    "/api/v1/download/more": (404, "code", 5001),
}
WRONG_METHODS = {  # path -> a method that it does not have, its methods, HTTP status, field, code
    "/api/v1/jobs/createTask": ("GET", "POST", 405, "code", 405),
    "/api/v1/jobs/recordInfo": ("POST", "GET", 405, "code", 405),
    "/api/file-stream-upload": ("PUT", "POST", 405, "code", 405),
    "/api/ext/v1/get_quota": ("GET", "POST", 200, "code", 1001),
    "/ai/video/removal": ("PUT", "GET, POST", 200, "resCode", 405),
    "/rest/ai/video/removal/result": ("DELETE", "GET, POST", 200, "resCode", 405),
    "/api/v1/download": ("GET", "POST", 405, "code", 5001),
    "/api/v1/credits": ("DELETE", "POST", 405, "code", 5001),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("unrouted"), *FACADES.values()) as server:
        yield server


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_path_is_answered_in_its_dialect(server: WorkerlessServer, path: str) -> None:
    status, field, code = UNKNOWN[path]
    response = server.client.get(path)
    assert (response.status_code, response.headers["content-type"], response.json()[field]) == (status, "application/json", code)
    assert response.json()["data"] == (None if code == 404 and field == "code" else {})


@pytest.mark.parametrize("path", WRONG_METHODS)
def test_another_method_is_answered_in_its_dialect(server: WorkerlessServer, path: str) -> None:
    method, allowed, status, field, code = WRONG_METHODS[path]
    response = server.client.request(method, path)
    assert (response.status_code, response.headers["content-type"], response.json()[field]) == (status, "application/json", code)
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(("path", "allowed"), [("/v1/jobs", "GET, POST"), ("/files/jobs/1/clean.mp4", "GET, HEAD")])
def test_allow_names_every_method_of_a_path(server: WorkerlessServer, path: str, allowed: str) -> None:
    response = server.client.patch(path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status", "field", "code"),
    [
        ("/ai/video/removal", 200, "resCode", 701),
        ("/api/ext/v1/get_quota", 200, "code", 1000),
        ("/api/v1/jobs/recordInfo", 200, "code", 422),
        ("/api/v1/credits", 200, "code", 5002),
        ("/v1/jobs", 414, "status", 414),
    ],
)
def test_an_address_that_is_too_long_is_answered_in_its_dialect(
    server: WorkerlessServer, path: str, status: int, field: str, code: int
) -> None:
    response = server.client.get(path, params={"paramJson": "a" * 9000})
    assert (response.status_code, response.json()[field]) == (status, code)


@pytest.mark.parametrize("path", ["/", "/v1/unknown", "/airplane", "/apiary", "/restful"])
def test_other_unknown_paths_are_problems(server: WorkerlessServer, path: str) -> None:
    response = server.client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
