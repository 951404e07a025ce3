"""What customers say of their jobs: a reference and pairs of texts, which the service keeps and repeats."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from service.api.native import FACADE, callback
from service.jobs.credits import Kind
from service.jobs.ledger import lines
from tests.workerless_server import Customer, WorkerlessServer, workerless_server

VIDEO = "http://127.0.0.1:9/video.mp4"  # never fetched, as there is no worker
PAIRS = {"customer": "42", "note": "to be cleaned, 请"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("references"), FACADE) as server:
        yield server


def created(server: WorkerlessServer, customer: Customer, **fields: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/jobs", headers=customer.bearer, json={"source_url": VIDEO, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def listed(server: WorkerlessServer, customer: Customer, **query: Any) -> dict[str, Any]:
    return dict(server.client.get("/v1/jobs", headers=customer.bearer, params=query).json())


def test_a_job_repeats_what_was_said_of_it_wherever_it_is_shown(server: WorkerlessServer) -> None:
    customer = server.customer()
    job = created(server, customer, client_reference="order 4711", metadata=PAIRS)
    shown = [job, server.client.get(f"/v1/jobs/{job['id']}", headers=customer.bearer).json(), listed(server, customer)["data"][0]]
    shown.append(callback(server.succeed(job["id"]), server.links, 600).body["data"])
    assert [(each["client_reference"], each["metadata"]) for each in shown] == [("order 4711", PAIRS)] * 4
    with server.database.read() as connection:
        notes = {line.kind: line.note for line in lines(connection, customer.id)}
    assert notes[Kind.RESERVE] == "order 4711", "the ledger is kept when the job is gone"


def test_a_job_without_them_says_so(server: WorkerlessServer) -> None:
    job = created(server, server.customer())
    assert (job["client_reference"], job["metadata"]) == (None, {})


def test_a_file_in_a_form_may_have_them(server: WorkerlessServer) -> None:
    options = json.dumps({"client_reference": "a", "metadata": PAIRS})
    files = {"file": ("a.mp4", b"\x00\x00\x00\x18ftypmp42")}
    job = server.client.post("/v1/jobs", headers=server.customer().bearer, data={"options": options}, files=files).json()
    assert (job["client_reference"], job["metadata"]) == ("a", PAIRS)


def test_jobs_are_found_by_their_reference_page_by_page(server: WorkerlessServer) -> None:
    customer = server.customer(credits=20)
    ours = [created(server, customer, client_reference=name)["id"] for name in ("a", "b", "a", "a")]
    created(server, server.customer(), client_reference="a")
    found, cursor = [], None
    for _ in range(3):
        page = listed(server, customer, client_reference="a", limit=1, **({"cursor": cursor} if cursor else {}))
        found += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
    assert sorted(found) == sorted(ours[:1] + ours[2:])
    assert cursor is None
    assert listed(server, customer, client_reference="c")["data"] == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"client_reference": ""}, "client_reference"),
        ({"client_reference": "a" * 201}, "client_reference"),
        ({"client_reference": "a\u0000"}, "client_reference"),
        ({"client_reference": "a\nb"}, "client_reference"),
        ({"client_reference": 7}, "client_reference"),
        ({"metadata": {str(number): "a" for number in range(17)}}, "metadata"),
        ({"metadata": {"a b": "c"}}, "metadata.a b.[key]"),
        ({"metadata": {"a" * 41: "c"}}, "metadata." + "a" * 41 + ".[key]"),
        ({"metadata": {"a": "b" * 501}}, "metadata.a"),
        ({"metadata": {"a": "\u0000"}}, "metadata.a"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": ["a"]}, "metadata"),
    ],
)
def test_invalid_ones_are_refused_by_name(server: WorkerlessServer, fields: dict[str, Any], name: str) -> None:
    answer = server.client.post("/v1/jobs", headers=server.customer().bearer, json={"source_url": VIDEO, **fields})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [name]


def test_an_unpaired_surrogate_is_refused(server: WorkerlessServer) -> None:
    for fields in ('"client_reference": "\\ud800"', '"metadata": {"a": "\\ud800"}'):
        body = f'{{"source_url": "{VIDEO}", {fields}}}'
        headers = server.customer().bearer | {"Content-Type": "application/json"}
        assert server.client.post("/v1/jobs", headers=headers, content=body).status_code == 422


def test_the_same_key_with_another_reference_is_another_request(server: WorkerlessServer) -> None:
    customer = server.customer()
    headers = customer.bearer | {"Idempotency-Key": "a"}
    statuses = [
        server.client.post("/v1/jobs", headers=headers, json={"source_url": VIDEO, "client_reference": name}).status_code
        for name in ("a", "a", "b")
    ]
    assert statuses == [201, 200, 422]
