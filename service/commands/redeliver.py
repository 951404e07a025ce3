"""`cleanplate redeliver`: has callbacks sent again."""

from typing import Annotated

import typer

from service.commands.accounts import recorded
from service.errors import RequestError, UnknownJob
from service.jobs import callbacks


def redeliver(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Jobs and batches that have ended.")] = None,
    given_up: Annotated[bool, typer.Option("--given-up", help="All callbacks that were given up, as after a receiver's outage.")] = False,
) -> None:
    """Have the callbacks of jobs or batches sent again, at once, with the same ids. A worker sends them."""
    if bool(ids) is given_up:
        raise RequestError("name jobs or batches, or give --given-up")
    subject = "all that were given up" if given_up else " ".join(ids or ())
    with recorded("callback.redeliver", subject) as core, core.database.write() as connection:
        if given_up:
            typer.echo(f"{callbacks.redeliver_given_up(connection)} callbacks will be sent again")
            return
        for subject_id in dict.fromkeys(ids or ()):
            if callbacks.find(connection, subject_id) is None:
                raise UnknownJob(f"{subject_id} has no callback, or has not ended")
            callbacks.redeliver(connection, subject_id)
