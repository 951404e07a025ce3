"""`cleanplate accounts|keys|signers|credits`: manages accounts, keys and credits."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from service import settings
from service.core import Core, correct_credits, grant_credits, opened
from service.errors import ParameterError
from service.jobs import ledger
from service.jobs.credits import MAX_CREDITS, Fund
from service.jobs.job import Rights
from service.private_folder import make_files_private
from service.source_type import parse_source_type, short_name

accounts = typer.Typer(help="Create, list, ban and delete accounts.", no_args_is_help=True)
keys = typer.Typer(help="Create, list and revoke keys.", no_args_is_help=True)
signers = typer.Typer(help="Names and secrets of signed requests (aidge).", no_args_is_help=True)
credits = typer.Typer(help="Grant and correct credits, show the ledger.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")]
RightsOption = Annotated[
    Rights | None, typer.Option(help="Default for its jobs: the account owns the pictures, or their owner licensed them to it.")
]
SourceType = Annotated[str | None, typer.Option(help="Default digital source type of its sources: trainedAlgorithmicMedia, ...")]


@contextmanager
def _core() -> Iterator[Core]:
    make_files_private()
    with opened(settings.read()) as core:
        yield core


@accounts.command("create")
def create(name: Name, rights: RightsOption = None, digital_source_type: SourceType = None) -> None:
    """Create an account and print its first key, which is not shown again."""
    declared = parse_source_type(digital_source_type) if digital_source_type else None
    with _core() as core:
        account = core.accounts.declare(core.accounts.create(name), rights, declared)
        typer.echo(core.accounts.add_key(account))


@accounts.command("set")
def declare(
    name: Name,
    rights: Annotated[Literal["owner", "licensed", "none"] | None, typer.Option(help="Default for its jobs; none: no default.")] = None,
    digital_source_type: Annotated[str | None, typer.Option(help="Default digital source type; none: no default.")] = None,
) -> None:
    """Change the defaults for the account's future jobs. Options that are not given leave their value as it is."""
    with _core() as core:
        account = core.accounts.find(name)
        new_rights = account.rights if rights is None else None if rights == "none" else rights
        source_type = account.digital_source_type
        if digital_source_type is not None:
            source_type = None if digital_source_type == "none" else parse_source_type(digital_source_type)
        core.accounts.declare(account, new_rights, source_type)


@accounts.command("list")
def list_accounts() -> None:
    """List each account: name, state, one-time, paid and held credits, rights, digital source type."""
    with _core() as core, core.database.read() as connection:
        for account in core.accounts.all():
            balance = ledger.balance(connection, account.id)
            state = "banned" if account.banned else "active"
            amounts = (str(amount) for amount in (balance.one_time_credits, balance.paid_credits, balance.held_credits))
            typer.echo("\t".join((account.name, state, *amounts, account.rights or "-", short_name(account.digital_source_type or "-"))))


@accounts.command("ban")
def ban(name: Name) -> None:
    """Refuse the account's requests from now on; running jobs continue."""
    with _core() as core:
        core.accounts.set_banned(core.accounts.find(name), True)


@accounts.command("unban")
def unban(name: Name) -> None:
    """Accept the account's requests again."""
    with _core() as core:
        core.accounts.set_banned(core.accounts.find(name), False)


@accounts.command("delete")
def delete(name: Name) -> None:
    """Delete an account permanently; its jobs and its ledger are kept."""
    with _core() as core:
        core.accounts.delete(core.accounts.find(name))


@keys.command("create")
def create_key(name: Name) -> None:
    """Create a key for the account and print it; it is not shown again."""
    with _core() as core:
        typer.echo(core.accounts.add_key(core.accounts.find(name)))


@keys.command("list")
def list_keys(name: Annotated[str | None, typer.Argument(metavar="ACCOUNT")] = None) -> None:
    """List each key: first characters, account, time of creation, state."""
    with _core() as core:
        for key in core.accounts.keys(core.accounts.find(name) if name else None):
            typer.echo(f"{key.hint}...\t{key.account}\t{_time(key.created_ms)}\t{'revoked' if key.revoked else 'active'}")


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(metavar="KEY", help="The key, or its first characters as listed.")]) -> None:
    """Revoke a key, effective immediately."""
    with _core() as core:
        if not core.accounts.revoke_key(key.removesuffix("...")):
            raise ParameterError("there is no such key")


@signers.command("create")
def create_signer(name: Name, signer: Annotated[str, typer.Argument(help="The app_key.")]) -> None:
    """Create a name for signed requests and print its secret, which is not shown again."""
    with _core() as core:
        typer.echo(core.accounts.add_signer(core.accounts.find(name), signer))


@signers.command("revoke")
def revoke_signer(signer: Annotated[str, typer.Argument(help="The app_key.")]) -> None:
    """Revoke a name for signed requests, effective immediately."""
    with _core() as core:
        if not core.accounts.revoke_signer(signer):
            raise ParameterError("there is no such signer")


@credits.command("grant")
def grant(
    name: Name,
    amount: Annotated[int, typer.Argument(min=1, max=MAX_CREDITS, help="Number of credits.")],
    one_time: Annotated[
        bool, typer.Option("--one-time", help="Grant one-time credits, which are spent first, instead of paid ones.")
    ] = False,
    note: Annotated[str, typer.Option(help="Reason, recorded in the ledger.")] = "",
) -> None:
    """Grant credits to an account."""
    with _core() as core:
        grant_credits(core, core.accounts.find(name), Fund.ONE_TIME if one_time else Fund.PAID, amount, note)


@credits.command("correct")
def correct(
    name: Name,
    amount: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Number of credits to remove.")],
    note: Annotated[str, typer.Option(help="Reason, recorded in the ledger.")],
    one_time: Annotated[bool, typer.Option("--one-time", help="Remove one-time credits instead of paid ones.")] = False,
) -> None:
    """Remove credits that were granted by mistake, as a ledger entry of its own; never more than are free."""
    with _core() as core:
        correct_credits(core, core.accounts.find(name), Fund.ONE_TIME if one_time else Fund.PAID, amount, note)


@credits.command("ledger")
def show_ledger(name: Name) -> None:
    """List the account's ledger: time, kind, fund, change of free and of held credits, job, note."""
    with _core() as core:
        account = core.accounts.find(name)
        with core.database.read() as connection:
            for row in ledger.lines(connection, account.id):
                fields = (
                    _time(row.at_ms),
                    row.kind,
                    row.fund,
                    f"{row.free_credits:+}",
                    f"{row.held_credits:+}",
                    row.job_id or "",
                    row.note,
                )
                typer.echo("\t".join(fields))


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
