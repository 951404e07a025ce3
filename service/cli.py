"""The command line: finds the command, and turns every failure into one line and an exit code."""

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final, NoReturn

import typer

from service import commands
from service.commands.failure import fail, plainly
from service.commands.sign_of_life import COMPLETION_VARIABLE, sign_of_life
from service.errors import CleanplateError, RequestError
from service.variables import candidates, read_files, remark_on
from service.version import VERSION

INTERRUPTED: Final = 130


@dataclass(frozen=True)
class Entry:
    """A command, or a group of them: its module in service/commands, which has it under its name, and what it does in a few words.

    extra: what the module needs that the package alone does not bring.
    """

    module: str
    summary: str
    is_group: bool = False
    extra: str = ""


ENTRIES: Final = {
    "clean": Entry("clean", "Remove visible marks from videos and images."),
    "inspect": Entry("inspect", "Show what a file carries, and what of it a clean file has too."),
    "verify": Entry("verify", "Show who signed a file, and whether it was changed since."),
    "submit": Entry("submit", "Send a job to a service and download the result."),
    "jobs": Entry("jobs", "List, cancel and delete the jobs of a service.", is_group=True),
    "mcp": Entry("mcp", "Offer a service's jobs to agents as tools.", extra="mcp"),
    "serve": Entry("serve", "Run the service: all APIs and one worker.", extra="serve"),
    "worker": Entry("serve", "Run a worker of a fleet.", extra="serve"),
    "models": Entry("models", "List, verify and choose the networks' weights.", is_group=True),
    "accounts": Entry("accounts", "Create, list, limit, ban and delete accounts.", is_group=True, extra="serve"),
    "keys": Entry("keys", "Create, list and revoke keys.", is_group=True, extra="serve"),
    "signers": Entry("accounts", "Names and secrets of signed requests (aidge).", is_group=True, extra="serve"),
    "credits": Entry("credits", "Grant and correct credits, show the ledger.", is_group=True, extra="serve"),
    "redeliver": Entry("redeliver", "Have callbacks sent again.", extra="serve"),
    "settings": Entry("settings", "Show and check the settings.", is_group=True),
    "completion": Entry("completion", "Print a shell's completion script."),
}
EXTRAS: Final = {"serve": ("dbos", "fastapi"), "mcp": ("mcp",)}  # by extra: packages that come with it alone
BESIDE: Final = "--beside"  # a worker's whose service has read the settings
OURS: Final = frozenset({"cleanplate", "service", "models"})
LINE: Final = ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")  # where a shell that completes a line puts it


def run_command(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; every failure is one line on stderr."""
    name = _name_in(arguments)
    try:
        if name in ENTRIES and BESIDE not in arguments and COMPLETION_VARIABLE not in os.environ:
            _read_variables()
        code = command_line(name)(args=list(arguments), prog_name="cleanplate", standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()  # empty where the help was shown in its place
        return fail(plainly(message), error.exit_code) if message else error.exit_code
    except CleanplateError as error:
        return fail(str(error), error.exit_code)
    except KeyboardInterrupt:  # before the command has begun, which turns it into its exit code
        code = INTERRUPTED
    except Exception as error:
        if {"-v", "--verbose"} & set(arguments):
            traceback.print_exc()
        return fail(f"internal error, --verbose shows where: {type(error).__name__}: {error}", CleanplateError.exit_code)
    if code == INTERRUPTED:
        fail("stopped", INTERRUPTED)
    return int(code or 0)


def command_line(name: str = "") -> typer.Typer:
    """The command of this name, or for any other name all of them by what they do, not imported.

    A service needs no video codecs in its memory, nor a clean-up a web server.
    """
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=COMPLETION_VARIABLE in os.environ,
        pretty_exceptions_enable=False,
        help="Removes visible watermarks, logos and burned-in text from videos and images.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    if name in ENTRIES:
        _add(app, name, ENTRIES[name])
    else:
        lacking = {extra for extra, packages in EXTRAS.items() if any(find_spec(package) is None for package in packages)}
        for each, entry in ENTRIES.items():
            told = f"Not installed: needs the extra `{entry.extra}`." if entry.extra in lacking else entry.summary
            app.command(each, help=told)(_absent(each, entry.extra))
    app.command()(version)
    return app


def _read_variables() -> None:
    """Add the settings of the current folder's files to the environment, and warn of names that are no settings."""
    read_files(Path())
    if names := candidates():
        with sign_of_life("starting"):
            from service import settings  # slow to load, and mostly not needed here
        for name in names:
            if name not in settings.names():
                fail(remark_on(name, settings.names()), 0)


def _name_in(arguments: Sequence[str]) -> str:
    """The command that is called, or that a shell completes; empty for none."""
    if COMPLETION_VARIABLE in os.environ:
        arguments = next((os.environ[line] for line in LINE if line in os.environ), "").split()[1:]
    return arguments[0] if arguments else ""


def _add(app: typer.Typer, name: str, entry: Entry) -> None:
    """Add a command or a group; where its extra is not installed, something that says so in its place."""
    module = _module(entry)
    if module is None:
        anything = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command(name, add_help_option=False, context_settings=anything)(_absent(name, entry.extra))
    elif entry.is_group:
        app.add_typer(getattr(module, name), name=name)
    else:
        app.command(name)(getattr(module, name))


def _module(entry: Entry) -> ModuleType | None:
    """The module of a command; None where it needs an extra that is not installed."""
    try:
        with sign_of_life("starting"):
            return import_module(f"{commands.__name__}.{entry.module}")
    except ModuleNotFoundError as error:
        if not entry.extra or (error.name or "").partition(".")[0] in OURS:
            raise
        return None


def _absent(name: str, extra: str) -> Callable[[], NoReturn]:
    def absent() -> NoReturn:
        raise RequestError(f"`{name}` needs packages that are not installed: install cleanplate[{extra}]")

    return absent


def version() -> None:
    """Print the version."""
    typer.echo(f"cleanplate {VERSION}")


def _version_and_exit(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


def _options(
    _: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version_and_exit, help="Print the version.")] = False,
) -> None:
    """The options of the program itself."""
