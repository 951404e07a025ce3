"""`python -m service` and the console script `cleanplate`."""

import signal
import sys
from types import FrameType
from typing import NoReturn

TERMINATED = 128 + signal.SIGTERM


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # Imported here: the decoder's process, started afresh, imports this file again and needs nothing of the command line.
    from service import cli

    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(cli.run_command(sys.argv[1:]))


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End like Ctrl-C does: the writers on the stack remove their half files."""
    raise SystemExit(TERMINATED)


if __name__ == "__main__":
    main()
