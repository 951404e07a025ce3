"""`cleanplate keys`: creates, lists and revokes keys."""

from typing import Annotated, Final

import typer

from service.commands.accounts import Name, core_of_settings
from service.commands.listing import AsJson, show, time_of
from service.errors import ParameterError
from service.jobs.keys import Scope

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
    with core_of_settings() as core:
        scopes = frozenset(scope) if scope else frozenset({Scope.SUBMIT, Scope.READ})
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
    with core_of_settings() as core:
        if not core.accounts.revoke_key(key.removesuffix("...")):
            raise ParameterError("there is no such key")
