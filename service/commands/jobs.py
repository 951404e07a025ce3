"""`cleanplate jobs`: lists, cancels and deletes the jobs of an account at a service."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from service.commands.failure import fail
from service.commands.listing import AsJson, show
from service.commands.remote import LOCAL, Key, Url, connected
from service.errors import CleanplateError

COLUMNS: Final = ("id", "state", "progress_percent", "kind", "media", "credits_used", "created_at", "message")

jobs = typer.Typer(help="List, cancel and delete the jobs of a service.", no_args_is_help=True)

Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="As `cleanplate jobs list` and `cleanplate submit` print them.", show_default=False)
]
Most = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


@jobs.command("list")
def list_jobs(limit: Most = 20, as_json: AsJson = False, url: Url = LOCAL, key: Key = "") -> None:
    """List the account's jobs, the newest first."""
    with connected(url, key) as client:
        show(COLUMNS, [vars(job) for job in client.jobs(limit)], as_json)


@jobs.command("cancel")
def cancel(ids: Ids, url: Url = LOCAL, key: Key = "") -> int:
    """Cancel jobs that have not ended; a running one ends as soon as its worker notices. One that has ended stays as it is."""
    with connected(url, key) as client:
        return _each(ids, lambda job_id: client.cancel(job_id).state)


@jobs.command("delete")
def delete(ids: Ids, url: Url = LOCAL, key: Key = "") -> int:
    """Delete all files of jobs that have ended, results too. The jobs themselves stay listed until they expire."""
    with connected(url, key) as client:

        def delete_files(job_id: str) -> str:
            client.delete(job_id)
            return "files deleted"

        return _each(ids, delete_files)


def _each(ids: list[str], act: Callable[[str], str]) -> int:
    """Act on each job and print what became of it. A job's own error does not stop the others; returns the exit code of the first."""
    code = 0
    for job_id in ids:
        try:
            typer.echo(f"{job_id}: {act(job_id)}")
        except CleanplateError as error:
            failed = fail(f"{job_id}: {error}", error.exit_code)
            code = code or failed
    return code
