"""`cleanplate settings`: prints and checks the settings."""

import typer

from service import settings as all_settings
from service.commands.listing import AsJson, show

settings = typer.Typer(help="Show and check the settings.", no_args_is_help=True)


@settings.command("table")
def table(as_json: AsJson = False) -> None:
    """Print all variables with defaults and descriptions as a Markdown table."""
    if as_json:
        columns = ("variable", "default", "description")
        show(columns, [dict(zip(columns, row, strict=True)) for row in all_settings.rows()], as_json)
    else:
        typer.echo(all_settings.table(), nl=False)


@settings.command("check")
def check() -> None:
    """Check the settings of this environment. Exit 2 and one line if a value is invalid."""
    all_settings.read()
    typer.echo("the settings are valid")
