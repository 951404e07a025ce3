"""Reports a command's failure: one line on stderr, and an exit code."""

from typing import Final

import typer

WORDS: Final = {  # of the library that reads the options, and ours
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "this is no whole number",
    "Input should be a valid number, unable to parse string as a number": "this is no number",
    "Input should be greater than or equal to": "the least is",
    "Input should be less than or equal to": "the most is",
}


def fail(message: str, exit_code: int) -> int:
    """Print the message and return the exit code."""
    typer.echo(f"cleanplate: {' '.join(message.split())}", err=True)
    return exit_code


def plainly(message: str) -> str:
    """What is wrong with an option, in the words of the other messages."""
    for theirs, ours in WORDS.items():
        message = message.replace(theirs, ours)
    return message
