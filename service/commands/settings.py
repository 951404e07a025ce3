"""`cleanplate settings`: prints and checks the settings."""

import json

import typer

from service import settings as all_settings
from service import variables
from service.commands.failure import fail
from service.commands.listing import AsJson, show
from service.errors import SettingsError

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
def check(as_json: AsJson = False) -> int:
    """Check the settings of this environment. Exit 2 and one line if a value is invalid."""
    error = None
    try:
        all_settings.read()
    except SettingsError as failed:
        error = failed
    if as_json:
        given = variables.candidates()
        unknown = [name for name in given if name not in all_settings.names()]
        found = {"valid": error is None, "error": str(error) if error else None, "given": given, "unknown": unknown}
        typer.echo(json.dumps(found, indent=2))
    elif error is None:
        typer.echo("the settings are valid")
    return fail(str(error), error.exit_code) if error else 0
