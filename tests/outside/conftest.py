"""A remote host, and a policy that allows it."""

from collections.abc import Iterator

import pytest

from service.outside.guard import EgressPolicy
from tests.fixture_host import Host, host

LOOPBACK = EgressPolicy.parse("127.0.0.0/8")


@pytest.fixture
def there() -> Iterator[Host]:
    with host() as running:
        yield running


@pytest.fixture
def egress() -> EgressPolicy:
    return LOOPBACK
