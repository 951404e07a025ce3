"""`cleanplate settings`: what can be set, as a table."""

import typer

from service import settings as all_settings

settings = typer.Typer(help="Tell what can be set.", no_args_is_help=True)


@settings.command("table")
def table() -> None:
    """All variables, their defaults and meanings, as Markdown."""
    typer.echo(all_settings.table(), nl=False)


@settings.command("check")
def check() -> None:
    """Read the settings of this environment; exit 2 and one line where a value does not fit."""
    all_settings.read()
    typer.echo("the settings are fine")
