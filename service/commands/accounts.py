"""`cleanplate accounts|signers`: manages accounts, and the names and secrets of signed requests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Literal

import typer

from service import settings
from service.api.destination_models import DestinationBody
from service.api.problems import read_as
from service.commands.listing import AsJson, show, time_of
from service.core import Core, opened
from service.errors import AccountMissing, ParameterError, RequestError
from service.jobs.administration import AccountState
from service.jobs.job import Rights
from service.private_folder import make_files_private
from service.source_type import parse_source_type, short_name

accounts = typer.Typer(help="Create, list, limit, ban and delete accounts.", no_args_is_help=True)
signers = typer.Typer(help="Names and secrets of signed requests (aidge).", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")]
RightsOption = Annotated[
    Rights | None, typer.Option(help="Default for its jobs: the account owns the pictures, or their owner licensed them to it.")
]
SourceType = Annotated[str | None, typer.Option(help="Default digital source type of its sources: trainedAlgorithmicMedia, ...")]
COLUMNS = ("id", "account", "state", "one_time", "paid", "held", "spent", "rights", "source_type", "queue_jobs", "storage_bytes", "created")


@contextmanager
def core_of_settings() -> Iterator[Core]:
    """The parts of the service that the settings describe. Raises RequestError where the block finds a wrong name or value."""
    make_files_private()
    with opened(settings.read()) as core:
        try:
            yield core
        except (AccountMissing, ParameterError) as error:  # said by whoever calls the command, not by a service
            raise RequestError(str(error)) from error


@contextmanager
def recorded(action: str, subject: str, **given: object) -> Iterator[Core]:
    """The parts of the service, for a change that the audit log records. `given`: JSON values without secrets."""
    with core_of_settings() as core, core.administration.audit.entry(action, subject, given):
        yield core


@accounts.command("create")
def create(name: Name, rights: RightsOption = None, digital_source_type: SourceType = None) -> None:
    """Create an account and print its first key, which is not shown again."""
    declared = _source_type(digital_source_type) if digital_source_type else None
    with recorded("account.create", name, rights=rights, digital_source_type=declared) as core:
        typer.echo(core.accounts.add_key(core.administration.create(name, rights, declared)))


@accounts.command("set")
def declare(
    name: Name,
    rights: Annotated[Literal["owner", "licensed", "none"] | None, typer.Option(help="Default for its jobs; none: no default.")] = None,
    digital_source_type: Annotated[str | None, typer.Option(help="Default digital source type; none: no default.")] = None,
) -> None:
    """Change the defaults for the account's future jobs. Options that are not given leave their value as it is."""
    _require_change(rights, digital_source_type)
    declared = None if digital_source_type in (None, "none") else _source_type(digital_source_type)
    with recorded("account.change", name, rights=rights, digital_source_type=digital_source_type) as core:
        account = core.accounts.find(name)
        new_rights = account.rights if rights is None else None if rights == "none" else rights
        core.accounts.declare(account, new_rights, account.digital_source_type if digital_source_type is None else declared)


@accounts.command("limit")
def limit(
    name: Name,
    queue_jobs: Annotated[int | None, typer.Option(min=-1, help="Its unfinished jobs; -1: the service's limit.")] = None,
    storage_bytes: Annotated[int | None, typer.Option(min=-1, help="Space for its uploads and sources; -1: the service's limit.")] = None,
) -> None:
    """Set limits of the account's own. Options that are not given leave their value as it is."""
    _require_change(queue_jobs, storage_bytes)
    given = {"queue_jobs": queue_jobs, "storage_bytes": storage_bytes}
    with recorded("account.change", name, **given) as core:
        account = core.accounts.find(name)
        changed = {limit: None if value < 0 else value for limit, value in given.items() if value is not None}
        core.accounts.limit(account, replace(account.limits, **changed))


@accounts.command("list")
def list_accounts(as_json: AsJson = False) -> None:
    """List the accounts: credits, defaults, and limits of their own."""
    with core_of_settings() as core:
        show(COLUMNS, [_row(state) for state in core.administration.states()], as_json)


def _require_change(*given: object) -> None:
    """Refuse a command that is to change something and names nothing."""
    if all(value is None for value in given):
        raise RequestError("nothing to change: give one of the options that --help lists")


def _source_type(text: str) -> str:
    try:
        return parse_source_type(text)
    except ParameterError as error:
        raise RequestError(str(error)) from error


def _row(state: AccountState) -> dict[str, object]:
    account, balance = state.account, state.balance
    return {
        "id": account.id,
        "account": account.name,
        "state": "banned" if account.banned else "active",
        "one_time": balance.one_time_credits,
        "paid": balance.paid_credits,
        "held": balance.held_credits,
        "spent": state.spent_credits,
        "rights": account.rights,
        "source_type": short_name(account.digital_source_type) if account.digital_source_type else None,
        "queue_jobs": account.limits.queue_jobs,
        "storage_bytes": account.limits.storage_bytes,
        "created": time_of(state.created_ms),
    }


@accounts.command("webhook-secret")
def webhook_secret(name: Name) -> None:
    """Make the secret that signs the account's callbacks and print it; it is not shown again. The one before it signs too for a day."""
    with recorded("account.webhook_secret", name) as core:
        typer.echo(core.webhook_secrets.rotate(core.accounts.find(name).id))


@accounts.command("bucket")
def bucket(
    name: Name,
    bucket: Annotated[str, typer.Option(help="Its name; none: results are only here.")],
    access_key_id: Annotated[str, typer.Option(help="May write there. The secret comes on standard input, and is never shown.")] = "",
    endpoint: Annotated[str | None, typer.Option(help="https://storage.example.com; by default Amazon's.")] = None,
    region: Annotated[str, typer.Option(help="Of the bucket.")] = "us-east-1",
    prefix: Annotated[str, typer.Option(help="Of the names of objects there.")] = "",
    keep_here: Annotated[bool, typer.Option(help="Keep the files here too, or delete them once they are delivered.")] = True,
) -> None:
    """Have the account's results put into an S3-compatible bucket of its own, from now on."""
    given = {"bucket": bucket, "prefix": prefix, "endpoint": endpoint, "region": region, "access_key_id": access_key_id}
    with recorded("account.bucket", name, **given) as core:
        account = core.accounts.find(name)
        if bucket == "none":
            return core.destinations.remove(account.id)
        body = read_as(DestinationBody, given | {"secret_access_key": _secret(), "keep_here": keep_here})
        return core.destinations.set(account.id, body.destination)


def _secret() -> str:
    """The secret on standard input; on a terminal it is asked for, and not shown."""
    if sys.stdin.isatty():
        return str(typer.prompt("secret access key", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")


@accounts.command("ban")
def ban(name: Name) -> None:
    """Refuse the account's requests from now on; running jobs continue."""
    with recorded("account.change", name, banned=True) as core:
        core.accounts.set_banned(core.accounts.find(name), True)


@accounts.command("unban")
def unban(name: Name) -> None:
    """Accept the account's requests again."""
    with recorded("account.change", name, banned=False) as core:
        core.accounts.set_banned(core.accounts.find(name), False)


@accounts.command("delete")
def delete(name: Name) -> None:
    """Delete an account permanently; its jobs and its ledger are kept."""
    with recorded("account.delete", name) as core:
        core.accounts.delete(core.accounts.find(name))


@signers.command("create")
def create_signer(name: Name, signer: Annotated[str, typer.Argument(help="The app_key.")]) -> None:
    """Create a name for signed requests and print its secret, which is not shown again."""
    with recorded("signer.create", signer, account=name) as core:
        typer.echo(core.accounts.add_signer(core.accounts.find(name), signer))


@signers.command("list")
def list_signers(as_json: AsJson = False) -> None:
    """List the names for signed requests, oldest first."""
    with core_of_settings() as core:
        found = core.accounts.signers()
    rows = [{"signer": each.name, "account": each.account, "created": time_of(each.created_ms), "state": each.state} for each in found]
    show(("signer", "account", "created", "state"), rows, as_json)


@signers.command("revoke")
def revoke_signer(signer: Annotated[str, typer.Argument(help="The app_key.")]) -> None:
    """Revoke a name for signed requests, effective immediately."""
    with recorded("signer.revoke", signer) as core:
        if not core.accounts.revoke_signer(signer):
            raise ParameterError("there is no such signer")
