"""`cleanplate submit`: sends one job to a service and downloads its result."""

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

Source = Annotated[str, typer.Argument(metavar="URL_OR_FILE", help="URL or file of a video or an image.", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the job to end; exit 0 only if it succeeded.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Wait for the result and download it.")]
Url = Annotated[str, typer.Option(envvar="CLEANPLATE_URL", help="URL of the service.")]
Key = Annotated[
    str,
    typer.Option(envvar="CLEANPLATE_KEY", help="Key of the account; safer in the variable than on the command line.", show_default=False),
]
Mask = Annotated[str | None, typer.Option(metavar="URL_OR_FILE", help="Image or video mask, white = remove.")]
Boxes = Annotated[list[str] | None, typer.Option("--box", metavar="x1,y1,x2,y2[@t1-t2]", help="Remove what is in this box.")]
Keep = Annotated[list[str] | None, typer.Option("--keep", metavar="x1,y1,x2,y2[@t1-t2]", help="Change nothing in this box.")]
Reject = Annotated[list[str] | None, typer.Option("--reject", metavar="ID", help="Leave the mark that has this id in an earlier report.")]
Classes = Annotated[str, typer.Option(help="What to detect: overlay,scene_text.")]
Detect = Annotated[bool, typer.Option("--detect", help="Detect marks in addition to --box and --mask.")]
RemoveAudio = Annotated[bool, typer.Option("--remove-audio", help="Remove the sound.")]
Callback = Annotated[str | None, typer.Option("--callback", metavar="URL", help="URL that is called when the job ends.")]


def submit(
    source: Source,
    wait: Wait = False,
    output: Output = None,
    url: Url = "http://127.0.0.1:8000",
    key: Key = "",
    mask: Mask = None,
    box: Boxes = None,
    keep: Keep = None,
    reject: Reject = None,
    classes: Classes = "overlay",
    detect: Detect = False,
    remove_audio: RemoveAudio = False,
    callback: Callback = None,
) -> None:
    """Submit a job and print its id; with --wait the URL of its result, with --output the path of the downloaded file."""
    if not key:
        raise ParameterError("a key is required: set CLEANPLATE_KEY, or use --key")
    boxes, kept = ([parse_box(text) for text in texts or []] for texts in (box, keep))
    with Client(url, key) as client:
        job = client.submit(
            source,
            mask=mask,
            boxes=boxes,
            keep=kept,
            reject=reject or [],
            classes=parse_classes(classes),
            detect=True if detect else None,
            remove_audio=remove_audio,
            callback_url=callback,
        )
        typer.echo(job.id)
        if wait or output:
            typer.echo(_result(client, job, output))


def _result(client: Client, job: RemoteJob, output: Path | None) -> str:
    """The job's result, once it is there: the path of the downloaded file, or its URL. Raises the job's error."""
    with _progress_bar() as show:
        job = client.wait(job.id, show)
    if job.error:
        raise job.error
    if output is None:
        return str(job.result_url)
    client.download(job.id, output)
    return str(output)


@contextmanager
def _progress_bar() -> Iterator[Callable[[RemoteJob], None]]:
    """A progress bar, if stderr is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task("queued", total=100)

        def show(job: RemoteJob) -> None:
            bars.update(task, description=job.state, completed=job.progress_percent)

        yield show
