"""Checks keys, and limits how many wrong ones an address may try, so that nobody tries one after the other."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock
from typing import Final

from fastapi import Request

from service.api.rates import WrongKeys
from service.errors import KeyInvalid
from service.jobs.accounts import Account
from service.jobs.job_service import JobService
from service.jobs.keys import Scope, hash_of

KNOWN_KEYS: Final = 10_000  # kept as hashes: about 2 MB
PROVIDER_BITS: Final = 64  # of an IPv6 address: the rest is its owner's to choose


class SignIn:
    """Finds the account of a key. `wrong_keys`: counts the keys that do not exist, by address."""

    def __init__(self, job_service: JobService, wrong_keys: WrongKeys) -> None:
        self._job_service = job_service
        self._wrong_keys = wrong_keys
        self._known: OrderedDict[str, None] = OrderedDict()  # keys that were accepted before, the last used last
        self._lock = Lock()

    def account_of_key(self, key: str, scope: Scope | None, address: str) -> Account:
        """As that of the job service. An address that has sent too many wrong keys is refused without a look, right or wrong.

        A key that this process has accepted before is looked up all the same: others who share the address work on. Raises RateLimited.
        """
        hashed = hash_of(key)
        if hashed not in self._known:
            self._wrong_keys.check(address)
        try:
            account = self._job_service.account_of_key(key, scope)
        except KeyInvalid:
            self._wrong_keys.count(address)
            raise
        self._remember(hashed)
        return account

    def _remember(self, hashed: str) -> None:
        with self._lock:
            self._known[hashed] = None
            self._known.move_to_end(hashed)
            if len(self._known) > KNOWN_KEYS:
                self._known.popitem(last=False)


def address_of(request: Request) -> str:
    """The address from which a request comes, as far as the proxies that are trusted say; of IPv6 the part that a provider assigns."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:  # a proxy may say anything
        return host[:64]
    return str(ip_network((address, PROVIDER_BITS), strict=False)) if isinstance(address, IPv6Address) else host
