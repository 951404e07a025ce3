"""`cleanplate keys`: creates, lists and revokes keys."""

from typing import Annotated, Final

import typer

from service.commands.accounts import Name, core_of_settings, recorded
from service.commands.listing import AsJson, show, time_of
from service.errors import ParameterError
from service.jobs.keys import CUSTOMER, HINT_CHARACTERS, ID_PREFIX, Scope, hint_of, scopes_to_text

DAY_SECONDS: Final = 86400
COLUMNS: Final = ("id", "key", "account", "scopes", "created", "expires", "state")

keys = typer.Typer(help="Create, list and revoke keys.", no_args_is_help=True)


@keys.command("create")
def create_key(
    name: Name,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do; repeatable. By default submit and read; admin administers the whole service."),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.001, max=36_500, help="Days until it expires; by default never.")] = None,
) -> None:
    """Create a key for the account and print it; it is not shown again."""
    scopes = frozenset(scope) if scope else CUSTOMER
    with recorded("key.create", name, scopes=scopes_to_text(scopes), days=days) as core:
        typer.echo(core.accounts.create_key(core.accounts.find(name), scopes, None if days is None else days * DAY_SECONDS).key)


@keys.command("list")
def list_keys(name: Annotated[str | None, typer.Argument(metavar="ACCOUNT")] = None, as_json: AsJson = False) -> None:
    """List the keys, oldest first: id, first characters, scopes, times and state."""
    with core_of_settings() as core:
        found = core.accounts.keys(core.accounts.find(name) if name else None)
    rows = [
        {
            "id": key.id,
            "key": f"{key.hint}...",
            "account": key.account,
            "scopes": [scope.value for scope in Scope if scope in key.scopes],
            "created": time_of(key.created_ms),
            "expires": time_of(key.expires_ms),
            "state": key.state,
        }
        for key in found
    ]
    show(COLUMNS, rows, as_json)


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id or its first characters as `list` prints them, or the key itself.")],
) -> None:
    """Revoke a key, effective immediately."""
    name = key.removesuffix("...")
    is_key = len(name) > HINT_CHARACTERS and not name.startswith(ID_PREFIX)
    with recorded("key.revoke", hint_of(name) if is_key else name) as core:
        if not core.accounts.revoke_key(name):
            raise ParameterError("there is no such key")
