"""obstore's stores: how a bucket is opened, and how their faults are raised."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store, from_url

from service.disk import is_full
from service.errors import SettingsError, StorageError, StorageFull

if TYPE_CHECKING:
    from obstore.store import RetryConfig

Store = LocalStore | S3Store | GCSStore | AzureStore


def open_bucket(url: str) -> S3Store | GCSStore | AzureStore:
    """The bucket at this URL, by the variables of its cloud. Raises SettingsError."""
    # No `client_options`: they would override those of the environment, including `AWS_ALLOW_HTTP`.
    retries: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}  # the job's steps have their own retries
    try:
        store = from_url(url, retry_config=retries)
    except (BaseError, ValueError) as error:
        raise SettingsError(f"cannot open the {urlsplit(url).scheme}:// storage: check its variables and its bucket") from error
    assert isinstance(store, S3Store | GCSStore | AzureStore)
    return store


@contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turn errors of obstore and the system into StorageErrors that reveal no path and no address."""
    try:
        yield
    except (BaseError, OSError) as error:
        if is_full(error):
            raise StorageFull("the disk is full") from error
        raise StorageError(f"the storage could not {action}") from error
