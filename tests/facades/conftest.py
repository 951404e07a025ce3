"""One service for all facade tests; each test uses its own account."""

from collections.abc import Iterator

import pytest

from tests.service_process import Service, running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with a worker."""
    with running(tmp_path_factory.mktemp("service"), hold_seconds="60", worker_jobs="2") as running_service:
        yield running_service
