"""The command line: finds the command, and turns every failure into one line and an exit code."""

import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final, NoReturn

import typer

from service import commands
from service.commands.failure import fail
from service.errors import CleanplateError, RequestError
from service.version import VERSION

INTERRUPTED: Final = 130

# A command, or a group of them, and the module in service/commands that has it under that name.
COMMANDS: Final = {
    "clean": "clean",
    "serve": "serve",
    "worker": "serve",
    "submit": "submit",
    "verify": "verify",
    "inspect": "inspect",
    "redeliver": "redeliver",
    "mcp": "mcp",
}
GROUPS: Final = {
    "models": "models",
    "accounts": "accounts",
    "keys": "keys",
    "signers": "accounts",
    "credits": "credits",
    "settings": "settings",
}
# What a module needs that the package alone does not bring: `serve` a database and a web server, `mcp` the protocol for agents.
EXTRAS: Final = dict.fromkeys(("serve", "accounts", "keys", "credits", "redeliver"), "serve") | {"mcp": "mcp"}
OURS: Final = frozenset({"cleanplate", "service", "models"})


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
    modules = COMMANDS | GROUPS
    for command in [name] if name in modules else modules:
        _add(app, command, modules[command])
    app.command()(version)
    return app


def _add(app: typer.Typer, name: str, module_name: str) -> None:
    """Add a command or a group; where its extra is not installed, something that says so in its place."""
    module = _module(module_name)
    if module is None:
        anything = {"ignore_unknown_options": True, "allow_extra_args": True}
        extra = EXTRAS[module_name]
        told = f"Not installed: needs the extra `{extra}`."
        app.command(name, help=told, add_help_option=False, context_settings=anything)(_absent(name, extra))
    elif name in COMMANDS:
        app.command(name)(getattr(module, name))
    else:
        app.add_typer(getattr(module, name), name=name)


def _module(name: str) -> ModuleType | None:
    """A module of service/commands; None where it needs an extra that is not installed."""
    try:
        return import_module(f"{commands.__name__}.{name}")
    except ModuleNotFoundError as error:
        if name not in EXTRAS or (error.name or "").partition(".")[0] in OURS:
            raise
        return None


def _absent(name: str, extra: str) -> Callable[[], NoReturn]:
    def absent() -> NoReturn:
        raise RequestError(f"`{name}` needs packages that are not installed: install cleanplate[{extra}]")

    return absent


def version() -> None:
    """Print the version."""
    typer.echo(f"cleanplate {VERSION}")
