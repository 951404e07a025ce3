"""Reports a command's failure: one line on stderr, and an exit code."""

import typer


def fail(message: str, exit_code: int) -> int:
    """Print the message and return the exit code."""
    typer.echo(f"cleanplate: {' '.join(message.split())}", err=True)
    return exit_code
