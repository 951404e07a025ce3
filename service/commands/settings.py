"""`cleanplate settings`: prints and checks the settings."""

import typer

from service import settings as all_settings

settings = typer.Typer(help="Show and check the settings.", no_args_is_help=True)


@settings.command("table")
def table() -> None:
    """Print all variables with defaults and descriptions as a Markdown table."""
    typer.echo(all_settings.table(), nl=False)


@settings.command("check")
def check() -> None:
    """Check the settings of this environment. Exit 2 and one line if a value is invalid."""
    all_settings.read()
    typer.echo("the settings are valid")
