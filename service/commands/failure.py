"""How a command says that it failed: one line on stderr, and an exit code."""

import typer


def fail(message: str, exit_code: int) -> int:
    """Say it; returns the code."""
    typer.echo(f"cleanplate: {' '.join(message.split())}", err=True)
    return exit_code
