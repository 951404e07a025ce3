"""`cleanplate accounts|keys|signers|credits`: who may use the service, and what they have."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from service import settings
from service.core import Core, grant_credits, opened
from service.errors import ParameterError
from service.jobs import ledger
from service.jobs.credits import Fund
from service.jobs.job import Rights
from service.source_type import parse_source_type, short_name

accounts = typer.Typer(help="Create, list, ban and delete accounts.", no_args_is_help=True)
keys = typer.Typer(help="Create, list and revoke keys.", no_args_is_help=True)
signers = typer.Typer(help="Names and secrets of signed requests (aidge).", no_args_is_help=True)
credits = typer.Typer(help="Grant credits, show balances and the ledger.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.")]
RightsOption = Annotated[Rights | None, typer.Option(help="Of its jobs that do not say: the pictures are its own, or their owner lets it.")]
SourceType = Annotated[str | None, typer.Option(help="What its sources are, where they do not say: trainedAlgorithmicMedia, ...")]


@contextmanager
def _core() -> Iterator[Core]:
    with opened(settings.read()) as core:
        yield core


@accounts.command("create")
def create(name: Name, rights: RightsOption = None, digital_source_type: SourceType = None) -> None:
    """Make an account; prints a first key, which is shown this once."""
    declared = parse_source_type(digital_source_type) if digital_source_type else None
    with _core() as core:
        account = core.accounts.declare(core.accounts.create(name), rights, declared)
        typer.echo(core.accounts.add_key(account))


@accounts.command("set")
def declare(
    name: Name,
    rights: Annotated[
        Literal["owner", "licensed", "none"] | None, typer.Option(help="Of its jobs that do not say; none: they stay without.")
    ] = None,
    digital_source_type: Annotated[str | None, typer.Option(help="What its sources are, where they do not say; none: nothing.")] = None,
) -> None:
    """Change what the account's jobs are recorded with from now on; what is not given stays."""
    with _core() as core:
        account = core.accounts.named(name)
        said = account.rights if rights is None else None if rights == "none" else rights
        kind = account.digital_source_type
        if digital_source_type is not None:
            kind = None if digital_source_type == "none" else parse_source_type(digital_source_type)
        core.accounts.declare(account, said, kind)


@accounts.command("list")
def list_accounts() -> None:
    """Name, state, one-time, paid and held credits, rights and digital source type of every account."""
    with _core() as core, core.database.read() as connection:
        for account in core.accounts.all():
            balance = ledger.balance(connection, account.id)
            state = "banned" if account.banned else "active"
            credits_left = (str(sum_) for sum_ in (balance.one_time_credits, balance.paid_credits, balance.held_credits))
            typer.echo(
                "\t".join((account.name, state, *credits_left, account.rights or "-", short_name(account.digital_source_type or "-")))
            )


@accounts.command("ban")
def ban(name: Name) -> None:
    """Refuse this account's requests from now on; what runs goes on."""
    with _core() as core:
        core.accounts.set_banned(core.accounts.named(name), True)


@accounts.command("unban")
def unban(name: Name) -> None:
    """Take the account's requests again."""
    with _core() as core:
        core.accounts.set_banned(core.accounts.named(name), False)


@accounts.command("delete")
def delete(name: Name) -> None:
    """Close an account for good; its jobs and its ledger are kept."""
    with _core() as core:
        core.accounts.delete(core.accounts.named(name))


@keys.command("create")
def create_key(name: Name) -> None:
    """Print a new key of the account, which is shown this once."""
    with _core() as core:
        typer.echo(core.accounts.add_key(core.accounts.named(name)))


@keys.command("list")
def list_keys(name: Annotated[str | None, typer.Argument(metavar="ACCOUNT")] = None) -> None:
    """First characters, account, time and state of each key."""
    with _core() as core:
        for key in core.accounts.keys(core.accounts.named(name) if name else None):
            typer.echo(f"{key.hint}...\t{key.account}\t{_time(key.created_ms)}\t{'revoked' if key.revoked else 'active'}")


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(metavar="KEY", help="The key, or its first characters as listed.")]) -> None:
    """Revoke a key at once."""
    with _core() as core:
        if not core.accounts.revoke_key(key.removesuffix("...")):
            raise ParameterError("there is no such key")


@signers.command("create")
def create_signer(name: Name, signer: Annotated[str, typer.Argument(help="The app_key.")]) -> None:
    """Print the secret of a new name for signed requests; it is shown this once."""
    with _core() as core:
        typer.echo(core.accounts.add_signer(core.accounts.named(name), signer))


@signers.command("revoke")
def revoke_signer(signer: Annotated[str, typer.Argument(help="The app_key.")]) -> None:
    """Revoke a name at once."""
    with _core() as core:
        if not core.accounts.revoke_signer(signer):
            raise ParameterError("there is no such signer")


@credits.command("grant")
def grant(
    name: Name,
    amount: Annotated[int, typer.Argument(min=1, help="How many.")],
    one_time: Annotated[bool, typer.Option("--one-time", help="One-time credits, which are spent first; else paid ones.")] = False,
    note: Annotated[str, typer.Option(help="What for; kept in the ledger.")] = "",
) -> None:
    """Give credits."""
    with _core() as core:
        grant_credits(core, core.accounts.named(name), Fund.ONE_TIME if one_time else Fund.PAID, amount, note)


@credits.command("ledger")
def show_ledger(name: Name) -> None:
    """Every line of the account: time, kind, fund, change of free and of held credits, job, note."""
    with _core() as core:
        account = core.accounts.named(name)
        with core.database.read() as connection:
            for row in ledger.lines(connection, account.id):
                words = (_time(row.at_ms), row.kind, row.fund, f"{row.free_credits:+}", f"{row.held_credits:+}", row.job_id or "", row.note)
                typer.echo("\t".join(words))


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
