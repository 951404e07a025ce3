"""Damages files of the matrix at random and cleans them: each must end in a clear error or a result, leave nothing behind, and not hang.

nice python -m tests.formats.mutated --files 20000 --seed 1        # prints the counts, and each fault with the number that makes it again

The files are cleaned in one process after another, since damaged ones may end a decoder's process. In the service only a job fails by that.
"""

import json
import os
import queue
import random
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from service.errors import CleanplateError
from service.inference import fake
from service.inference.session import Networks
from service.pipeline.run import clean
from tests.formats import page
from tests.formats.films import NotWritten
from tests.formats.in_process import in_process
from tests.formats.walk import NOTHING, Cell, detection_of

SOURCES: Final = 150  # whole files that are damaged, from all over the matrix
STALL_SECONDS: Final = 90.0  # of computing on one file: more than the decoder of a job may do nothing
STUCK_SECONDS: Final = 1800.0  # on the clock, for one that does not even compute, on a machine that has much else to do
LOOK_SECONDS: Final = 1.0
MEMORY_BYTES: Final = 6 * 2**30
MOST_CHANGES: Final = 12
EXTREMES: Final = (0, 1, 0x7F, 0x80, 0xFF)
UNEXPECTED: Final = "unexpected"  # how an error begins that no code foresaw


def main(
    files: Annotated[int, typer.Option(help="How many damaged files.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed, other damage.")] = 1,
    first: Annotated[int, typer.Option(help="The number of the first one.")] = 0,
    is_worker: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
) -> None:
    """Clean damaged files, and print what became of them."""
    if is_worker:
        for number, outcome in _outcomes(seed, first, first + files):
            typer.echo(json.dumps([number, outcome]))
        return
    counts: Counter[str] = Counter()
    for number, outcome in _supervised(seed, first, first + files):
        kind = outcome.partition(":")[0]
        counts[kind] += 1
        if kind == "fault":
            typer.echo(f"{number}: {outcome}")
    typer.echo(json.dumps({"files": counts.total(), "seed": seed, **counts}))
    if counts["fault"]:
        raise typer.Exit(1)


def _supervised(seed: int, first: int, stop: int) -> Iterator[tuple[int, str]]:
    """Number and outcome of each file, from as many processes as it takes."""
    while first < stop:
        command = [
            sys.executable,
            "-m",
            __spec__.name,
            "--worker",
            "--seed",
            str(seed),
            "--first",
            str(first),
            "--files",
            str(stop - first),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
            outcome = "crashed"
            for line in _lines(worker):
                if line is None:
                    outcome = f"fault: no outcome after {STALL_SECONDS:g} s of computing"
                    break
                number, told = json.loads(line)
                yield number, told
                first = number + 1
            worker.kill()
        if first < stop:
            yield first, outcome
            first += 1


def _lines(worker: "subprocess.Popen[str]") -> Iterator[str | None]:
    """The lines that a process prints; None, and no more, when it computes or waits for too long without one."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert worker.stdout
        for line in worker.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    began, spent = time.monotonic(), 0.0
    while True:
        try:
            line = lines.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            if _cpu_seconds(worker.pid) - spent > STALL_SECONDS or time.monotonic() - began > STUCK_SECONDS:
                yield None
                return
            continue
        if not line:
            return
        yield line
        began, spent = time.monotonic(), _cpu_seconds(worker.pid)


def _cpu_seconds(pid: int) -> float:
    """What a process that has not been waited for has computed, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _outcomes(seed: int, first: int, stop: int) -> Iterator[tuple[int, str]]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    networks, cells = fake.networks(), _sources(seed)
    with in_process(), TemporaryDirectory() as folder:
        whole: dict[str, bytes] = {}
        for number in range(first, stop):
            chance = random.Random(f"{seed} {number}")
            cell = chance.choice(cells)
            if cell.id not in whole:
                whole[cell.id] = _made(cell, Path(folder))
            yield number, _outcome(cell, damaged(whole[cell.id], chance), networks)


def _sources(seed: int) -> list[Cell]:
    """Cells whose files are cleaned, in their own container, shuffled."""
    listed = page.listed(page.DOCUMENT.read_text(encoding="utf-8"))
    accepted = [
        cell for cell in page.cells() if cell.source == cell.target and cell.place in listed and listed[cell.place].fate != "refused"
    ]
    return random.Random(seed).sample(accepted, SOURCES)


def _made(cell: Cell, folder: Path) -> bytes:
    path = folder / f"made{cell.source}"
    try:
        cell.make(path)
        return path.read_bytes()
    except NotWritten:
        return b""


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """A file with some of its bytes changed, removed, repeated or cut off."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, MOST_CHANGES)):
        if not data:
            break
        at = chance.randrange(len(data) if chance.random() < 0.5 else min(len(data), 2048))  # the first part says most about the rest
        run = data[at : at + chance.choice((1, 4, 16, 200))]
        match chance.randrange(6):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] = chance.choice(EXTREMES)
            case 2:
                data[at : at + len(run)] = chance.randbytes(len(run))
            case 3:
                del data[at : at + len(run)]
            case 4:
                data[at:at] = run
            case 5 if chance.random() < 0.2:
                del data[at:]
    return bytes(data)


def _outcome(cell: Cell, data: bytes, networks: Networks) -> str:
    """What becomes of a damaged file: cleaned, refused with the error's name, or a fault."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / f"source{cell.source}", folder / f"target{cell.target}"
        source.write_bytes(data)
        try:
            clean(source, target, NOTHING, networks, detection=detection_of(6, (64, 48)))
            expected, outcome = {source, target}, "cleaned"
        except CleanplateError as error:
            is_clear = bool(str(error)) and "\n" not in str(error) and UNEXPECTED not in str(error)
            notes = " ".join(getattr(error, "__notes__", ()))
            expected, outcome = {source}, f"refused as {type(error).__name__}" if is_clear else f"fault: {cell.id}: {error!r} {notes}"
        except Exception as error:  # the very thing that is looked for
            return f"fault: {cell.id}: {error!r}"
        left = set(folder.iterdir()) - expected
        return f"fault: {cell.id}: left {sorted(path.name for path in left)}" if left else outcome


if __name__ == "__main__":
    typer.run(main)
