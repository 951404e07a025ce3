"""`python -m service` and the console script `cleanplate`."""

import signal
import sys
from types import FrameType
from typing import NoReturn

TERMINATED = 128 + signal.SIGTERM
RETRY_SECONDS = 0.01


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # Imported here: the decoder's subprocess imports this file again and does not need the command line.
    from service import cli

    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    sys.unraisablehook = _raise_again
    sys.exit(cli.run_command(sys.argv[1:]))


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Exit by exception, as on Ctrl-C, so that open writers remove their partial files."""
    raise SystemExit(TERMINATED)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Raise SIGTERM again if its exception was lost: Python discards one raised in a destructor or while an import lock is released."""
    if isinstance(lost.exc_value, SystemExit):
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
    else:
        sys.__unraisablehook__(lost)


if __name__ == "__main__":
    main()
