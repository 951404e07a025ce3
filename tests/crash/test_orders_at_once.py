"""kill -9 while many order at the same time, whose orders share commits: what was accepted is there, paid once, and ends."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest

from benchmarks.drain import STUBBED_SETTINGS, uploaded
from benchmarks.fleet import Fleet, within
from benchmarks.invariants import all_jobs, ledger_violations, wait_for_end
from benchmarks.orders import Customer

pytestmark = pytest.mark.slow

CUSTOMERS = 20
ORDERS = 5 * CUSTOMERS  # before the kill


def test_orders_that_were_accepted_together_survive_a_kill(tmp_path: Path) -> None:
    accepted: list[str] = []

    def orders(customer: Customer, link: str) -> int:
        """Order until the service is gone; return the number of orders that were sent."""
        body = {"model": "sora-watermark-remover", "input": {"video_url": link}}
        with httpx.Client(base_url=fleet.url, headers={"Authorization": f"Bearer {customer.key}"}, trust_env=False) as client:
            for number in count(1):
                try:
                    answer = client.post("/api/v1/jobs/createTask", json=body, timeout=120).json()
                except httpx.TransportError:
                    return number
                accepted.append(answer["data"]["taskId"])
        return 0

    with Fleet.running(tmp_path, stubbed=True, **STUBBED_SETTINGS) as fleet:
        customers = [Customer.new(fleet.core, f"customer {number}", 10**6) for number in range(CUSTOMERS)]
        links = [uploaded(customer, fleet) for customer in customers]
        with ThreadPoolExecutor(CUSTOMERS) as threads:
            sent = [threads.submit(orders, *each) for each in zip(customers, links, strict=True)]
            assert within(120, lambda: len(accepted) >= ORDERS)
            fleet.kill("api")
            number_sent = sum(future.result() for future in sent)
        fleet.restart_dead()
        fleet.wait_until_ready()
        assert wait_for_end(fleet.core) is not None, "a job has no workflow"
        jobs = all_jobs(fleet.core)
        assert set(accepted) <= {job.id for job in jobs}
        assert len(accepted) <= len(jobs) <= number_sent
        assert [str(violation) for violation in ledger_violations(fleet.core, jobs)] == []
