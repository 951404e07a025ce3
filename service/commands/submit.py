"""`cleanplate submit`: hands one job to a service, and brings the result home."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from service.client import Client
from service.errors import ParameterError
from service.pipeline.request import parse_classes
from service.remote_job import RemoteJob
from service.timed_box import parse_box

Source = Annotated[str, typer.Argument(metavar="URL_OR_FILE", help="Address or file of a video or an image.", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the job to its end; exit 0 only if it succeeded.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Download the result; waits for it.")]
Url = Annotated[str, typer.Option(envvar="CLEANPLATE_URL", help="The service's address.")]
Key = Annotated[str, typer.Option(envvar="CLEANPLATE_KEY", help="The account's key; better given as a variable.", show_default=False)]
Mask = Annotated[str | None, typer.Option(metavar="URL_OR_FILE", help="Image or video of what to remove, white = remove.")]
Boxes = Annotated[list[str] | None, typer.Option("--box", metavar="x1,y1,x2,y2[@t1-t2]", help="Remove what is in this box.")]
Classes = Annotated[str, typer.Option(help="What to look for: overlay,scene_text.")]
Detect = Annotated[bool, typer.Option("--detect", help="Look for marks as well, beside --box and --mask.")]
RemoveAudio = Annotated[bool, typer.Option("--remove-audio", help="Leave the sound out.")]
Callback = Annotated[str | None, typer.Option("--callback", metavar="URL", help="Where the end of the job is told.")]


def submit(
    source: Source,
    wait: Wait = False,
    output: Output = None,
    url: Url = "http://127.0.0.1:8000",
    key: Key = "",
    mask: Mask = None,
    box: Boxes = None,
    classes: Classes = "overlay",
    detect: Detect = False,
    remove_audio: RemoveAudio = False,
    callback: Callback = None,
) -> None:
    """Hand in a job and print its id; with --wait the address of its result, with --output the result itself."""
    if not key:
        raise ParameterError("a key is needed: set CLEANPLATE_KEY, or give --key")
    boxes = [parse_box(text) for text in box or []]
    with Client(url, key) as client:
        job = client.submit(
            source,
            mask=mask,
            boxes=boxes,
            classes=parse_classes(classes),
            detect=True if detect else None,
            remove_audio=remove_audio,
            callback_url=callback,
        )
        typer.echo(job.id)
        if not (wait or output):
            return
        with _bar() as show:
            job = client.wait(job.id, show)
        if job.error:
            raise job.error
        if output:
            client.download(job.id, output)
        typer.echo(str(output) if output else job.result_url)


@contextmanager
def _bar() -> Iterator[Callable[[RemoteJob], None]]:
    """A bar, where a person is looking."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task("queued", total=100)

        def show(job: RemoteJob) -> None:
            bars.update(task, description=job.state, completed=job.progress_percent)

        yield show
