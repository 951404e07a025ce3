"""A price by length and size: what the estimate says is what a job costs; one that cannot be paid fails before it is cleaned."""

from collections.abc import Iterator

import pytest

from service.jobs.credits import Kind
from service.jobs.ledger import lines
from service.pipeline.io.probe import probe
from service.pipeline.video import Limits
from tests.service_process import Service, TestAccount, file, running

RATES = {"price_second_credits": "25", "price_megapixel_second_credits": "100"}


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("metered"), **RATES) as service:
        yield service


def estimated(service: Service, account: TestAccount, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The price of the marked clip, by its length and size."""
    path = tmp_path_factory.mktemp("clip") / "marked.mp4"
    path.write_bytes(file("marked")[0])
    info = probe(path, Limits())
    body = {"media": "video", "seconds": info.duration_seconds, "width": info.width, "height": info.height}
    return int(service.client.post("/v1/estimate", headers=account.bearer, json=body).json()["credits"])


def test_a_job_costs_what_was_estimated(metered: Service, tmp_path_factory: pytest.TempPathFactory) -> None:
    account = metered.account(credits=50)
    price = estimated(metered, account, tmp_path_factory)
    assert price > 3
    job_id = metered.client.post("/v1/jobs", headers=account.bearer, json={"source_url": metered.video_url()}).json()["id"]
    assert metered.context.job_service.balance(account.id).held_credits == 1, "the rest is not known yet"
    job = metered.wait(account, job_id)
    assert (job.state, job.credits_used) == ("succeeded", price)
    balance = metered.context.job_service.balance(account.id)
    assert (balance.total_credits, balance.held_credits) == (50 - price, 0)

    poor = metered.account(credits=price - 1)
    job_id = metered.client.post("/v1/jobs", headers=poor.bearer, json={"source_url": metered.video_url()}).json()["id"]
    failed = metered.wait(poor, job_id)
    assert failed.failure is not None
    assert failed.failure.kind == "CreditsRanOut"
    assert f"costs {price} credits" in failed.failure.message
    balance = metered.context.job_service.balance(poor.id)
    assert (balance.total_credits, balance.held_credits) == (price - 1, 0)
    with metered.core.database.read() as connection:
        assert [row.kind for row in lines(connection, poor.id)] == [Kind.GRANT, Kind.RESERVE, Kind.REFUND]
    problem = metered.client.get(f"/v1/jobs/{job_id}/result", headers=poor.bearer)
    assert (problem.status_code, problem.json()["type"]) == (402, "urn:cleanplate:problem:credits-ran-out")
