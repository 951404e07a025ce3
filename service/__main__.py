"""`python -m service` and the console script `cleanplate`."""

import signal
import sys
from types import FrameType
from typing import NoReturn

TERMINATED = 128 + signal.SIGTERM
AGAIN_SECONDS = 0.01


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # Imported here: the decoder's process, started afresh, imports this file again and needs nothing of the command line.
    from service import cli

    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    sys.unraisablehook = _ask_again
    sys.exit(cli.run_command(sys.argv[1:]))


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End like Ctrl-C does: the writers on the stack remove their half files."""
    raise SystemExit(TERMINATED)


def _ask_again(lost: "sys.UnraisableHookArgs") -> None:
    """A signal that comes while a destructor runs, or an import's lock is let go, raises where Python lets nothing through."""
    if isinstance(lost.exc_value, SystemExit):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    else:
        sys.__unraisablehook__(lost)


if __name__ == "__main__":
    main()
