"""`cleanplate completion`: prints the script that lets a shell complete commands, options and their values."""

from typing import Annotated, Final, Literal

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it has it from a private module

from service.commands.sign_of_life import COMPLETION_VARIABLE

PROGRAM: Final = "cleanplate"

Shell = Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash|zsh|fish", show_default=False)]


def completion(shell: Shell) -> None:
    """Print a shell's completion script.

    Bash: `source <(cleanplate completion bash)` in ~/.bashrc. Zsh: the same with zsh in ~/.zshrc, after compinit.
    Fish: `cleanplate completion fish > ~/.config/fish/completions/cleanplate.fish`.
    """
    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=COMPLETION_VARIABLE, shell=shell))
