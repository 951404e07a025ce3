"""The command line: finds the command, and turns every failure into one line and an exit code."""

import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import typer

from service.commands.failure import fail
from service.errors import CleanplateError
from service.version import VERSION

INTERRUPTED: Final = 130

# A command, or a group of them, and the module in service/commands that has it under that name.
COMMANDS: Final = {"clean": "clean", "serve": "serve", "worker": "serve", "submit": "submit", "verify": "verify"}
GROUPS: Final = {
    "models": "models",
    "accounts": "admin",
    "keys": "admin",
    "signers": "admin",
    "credits": "admin",
    "settings": "settings",
}


def run_command(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; every failure is one line on stderr."""
    try:
        code = command_line(arguments[0] if arguments else "")(args=list(arguments), prog_name="cleanplate", standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()  # empty where the help was shown in its place
        return fail(message, error.exit_code) if message else error.exit_code
    except CleanplateError as error:
        return fail(str(error), error.exit_code)
    except Exception as error:
        if {"-v", "--verbose"} & set(arguments):
            traceback.print_exc()
        return fail(f"internal error, --verbose shows where: {type(error).__name__}: {error}", CleanplateError.exit_code)
    if code == INTERRUPTED:
        fail("stopped", INTERRUPTED)
    return int(code or 0)


def command_line(name: str = "") -> typer.Typer:
    """The command of this name, or all of them: a service needs no video codecs in its memory, nor a clean-up a web server."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Removes visible watermarks.")
    known = name in COMMANDS or name in GROUPS
    for command, module in COMMANDS.items():
        if command == name or not known:
            app.command(command)(getattr(import_module(f"service.commands.{module}"), command))
    for group, module in GROUPS.items():
        if group == name or not known:
            app.add_typer(getattr(import_module(f"service.commands.{module}"), group), name=group)
    app.command()(version)
    return app


def version() -> None:
    """Print the version."""
    typer.echo(f"cleanplate {VERSION}")
