"""`cleanplate credits`: grants credits, takes them back, shows the ledger."""

from typing import Annotated, Final

import typer

from service.commands.accounts import Name, core_of_settings, recorded
from service.commands.listing import AsJson, show, time_of
from service.jobs.credits import MAX_CREDITS, Fund

COLUMNS: Final = ("time", "kind", "fund", "free", "held", "job", "note")

credits = typer.Typer(help="Grant and correct credits, show the ledger.", no_args_is_help=True)


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
    with recorded("credits.grant", name, credits=amount, one_time=one_time, note=note) as core:
        core.administration.grant(core.accounts.find(name), Fund.ONE_TIME if one_time else Fund.PAID, amount, note)


@credits.command("correct")
def correct(
    name: Name,
    amount: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Number of credits to remove.")],
    note: Annotated[str, typer.Option(help="Reason, recorded in the ledger.")],
    one_time: Annotated[bool, typer.Option("--one-time", help="Remove one-time credits instead of paid ones.")] = False,
) -> None:
    """Remove credits that were granted by mistake, as a ledger entry of its own; never more than are free."""
    with recorded("credits.correct", name, credits=amount, one_time=one_time, note=note) as core:
        core.administration.correct(core.accounts.find(name), Fund.ONE_TIME if one_time else Fund.PAID, amount, note)


@credits.command("ledger")
def show_ledger(name: Name, as_json: AsJson = False) -> None:
    """List the account's ledger, oldest line first: the changes of free and of held credits."""
    with core_of_settings() as core:
        lines = core.administration.ledger(core.accounts.find(name))
    rows = [
        {
            "time": time_of(line.at_ms),
            "kind": line.kind,
            "fund": line.fund,
            "free": line.free_credits if as_json else f"{line.free_credits:+}",
            "held": line.held_credits if as_json else f"{line.held_credits:+}",
            "job": line.job_id,
            "note": line.note,
        }
        for line in lines
    ]
    show(COLUMNS, rows, as_json)
