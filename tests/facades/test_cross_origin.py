"""CORS over real HTTP: preflights and responses as browsers send and read them. And slashes at the end of paths."""

from collections.abc import Iterator

import pytest

from tests.service_process import Service, running

PAGE = "https://app.example.com"
OTHER = "https://evil.example.net"
APIS = {
    "/v1/jobs": "POST",
    "/api/v1/jobs/createTask": "POST",
    "/api/ext/v1/get_quota": "POST",
    "/ai/video/removal": "POST",
    "/api/v1/download": "POST",
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with its default: no page of another origin may use its APIs."""
    with running(tmp_path_factory.mktemp("closed"), worker=False) as service:
        yield service


@pytest.fixture(scope="module")
def open_to_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("open"), worker=False, cors_origins=f"{PAGE}, http://localhost:3000") as service:
        yield service


def preflight(method: str, origin: str = PAGE, headers: str = "authorization, content-type, idempotency-key") -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


def file_link(service: Service) -> str:
    service.core.storage.put_bytes("jobs/1/clean.mp4", bytes(1000), "video/mp4")
    return service.core.links.url("jobs/1/clean.mp4", 60)


@pytest.mark.parametrize("path", APIS)
def test_a_named_origin_may_use_every_api(open_to_pages: Service, path: str) -> None:
    asked = open_to_pages.client.options(path, headers=preflight(APIS[path]))
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, PAGE)
    assert APIS[path] in asked.headers["access-control-allow-methods"].split(", ")
    allowed = asked.headers["access-control-allow-headers"].lower()
    assert {"authorization", "content-type", "idempotency-key"} <= {each.strip() for each in allowed.split(",")}
    sent = open_to_pages.client.request(APIS[path], path, headers={"Origin": PAGE})
    assert sent.headers["access-control-allow-origin"] == PAGE
    assert "Retry-After" in sent.headers["access-control-expose-headers"]
    assert "origin" in sent.headers["vary"].lower()
    assert "access-control-allow-credentials" not in sent.headers


@pytest.mark.parametrize("path", APIS)
def test_another_origin_may_not(open_to_pages: Service, path: str) -> None:
    asked = open_to_pages.client.options(path, headers=preflight(APIS[path], OTHER))
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
    sent = open_to_pages.client.request(APIS[path], path, headers={"Origin": OTHER})
    assert "access-control-allow-origin" not in sent.headers


def test_a_refused_request_can_be_read_by_the_page_too(open_to_pages: Service) -> None:
    for path in ("/v1/unknown", "/api/unknown", "/v1/jobs"):
        refused = open_to_pages.client.get(path, headers={"Origin": PAGE})
        assert refused.status_code >= 400
        assert refused.headers["access-control-allow-origin"] == PAGE


def test_by_default_no_origin_may(closed: Service) -> None:
    for path, method in APIS.items():
        for response in (
            closed.client.options(path, headers=preflight(method)),
            closed.client.request(method, path, headers={"Origin": PAGE}),
        ):
            assert not [name for name in response.headers if name.startswith("access-control-")]


def test_any_origin_may_download_by_a_signed_link(closed: Service) -> None:
    url = file_link(closed)
    asked = closed.client.options(url, headers=preflight("GET", OTHER, "range, if-none-match"))
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")
    assert {"range", "if-none-match"} <= {each.strip() for each in asked.headers["access-control-allow-headers"].lower().split(",")}
    part = closed.client.get(url, headers={"Origin": OTHER, "Range": "bytes=0-9"})
    assert (part.status_code, len(part.content), part.headers["access-control-allow-origin"]) == (206, 10, "*")
    exposed = {each.strip() for each in part.headers["access-control-expose-headers"].split(",")}
    assert {"Content-Range", "Content-Length", "ETag"} <= exposed
    unsigned = closed.client.get(url.partition("?")[0], headers={"Origin": OTHER})
    assert (unsigned.status_code, unsigned.headers["access-control-allow-origin"]) == (403, "*")


def test_a_slash_at_the_end_of_a_path_changes_nothing(closed: Service) -> None:
    account = closed.account()
    for path in ("/v1/account/", "/api/v1/chat/credit/"):
        answer = closed.client.get(path, headers=account.bearer)
        assert (answer.status_code, answer.json()) == (200, closed.client.get(path[:-1], headers=account.bearer).json())
    assert closed.client.post("/api/v1/credits/", json={"api_key": account.key}).json()["code"] == 200
    assert closed.client.post("/api/ext/v1/get_quota/", headers=account.bearer).json()["code"] == 0
    assert closed.client.get("/rest/ai/video/removal/result/").json()["code"] == "MissingParameter"
    counted = 'cleanplate_http_requests_total{facade="native",method="GET",route="/v1/account",status="200"}'
    assert counted in closed.client.get("/metrics").text, "which route was taken is known to metrics and logs"
