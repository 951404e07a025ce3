"""The service that a command asks, and the key of the account that asks it."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from service.client import Client
from service.errors import RequestError

LOCAL: Final = "http://127.0.0.1:8000"

Url = Annotated[str, typer.Option(envvar="CLEANPLATE_URL", help="URL of the service.")]
Key = Annotated[
    str,
    typer.Option(envvar="CLEANPLATE_KEY", help="Key of the account; safer in the variable than on the command line.", show_default=False),
]


def connected(url: str, key: str) -> Client:
    """A client of the service. Raises RequestError without a key."""
    if not key:
        raise RequestError("a key is required: set CLEANPLATE_KEY, or use --key")
    return Client(url, key, resume_folder=_cache() / "uploads")


def _cache() -> Path:
    """Where this user's programs keep what they can do without."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cleanplate"
