"""`cleanplate submit`: sends one job to a service and downloads its result."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from service.client import Client
from service.commands.remote import LOCAL, Key, Url, connected
from service.commands.sign_of_life import sign_of_life
from service.pipeline.request import parse_classes, parse_part
from service.remote_job import RemoteJob
from service.timed_box import parse_box

Source = Annotated[str, typer.Argument(metavar="URL_OR_FILE", help="URL or file of a video or an image.", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the job to end; exit 0 only if it succeeded.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Wait for the result and download it.")]
Mask = Annotated[str | None, typer.Option(metavar="URL_OR_FILE", help="Image or video mask, white = remove.")]
Boxes = Annotated[list[str] | None, typer.Option("--box", metavar="x1,y1,x2,y2[@t1-t2]", help="Remove what is in this box.")]
Keep = Annotated[list[str] | None, typer.Option("--keep", metavar="x1,y1,x2,y2[@t1-t2]", help="Change nothing in this box.")]
Reject = Annotated[list[str] | None, typer.Option("--reject", metavar="ID", help="Leave the mark that has this id in an earlier report.")]
Classes = Annotated[str, typer.Option(help="What to detect: overlay,scene_text.")]
Detect = Annotated[bool, typer.Option("--detect", help="Detect marks in addition to --box and --mask.")]
Preview = Annotated[
    str | None,
    typer.Option("--preview", metavar="SECONDS[@FROM]", help="Clean only so many seconds of a video, from a time, for less: 3@12.5."),
]
RemoveAudio = Annotated[bool, typer.Option("--remove-audio", help="Remove the sound.")]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Of interlaced videos: let each picture show one moment.")]
Json = Annotated[bool, typer.Option("--json", help="Print the job as one line of JSON, at the end.")]
Callback = Annotated[str | None, typer.Option("--callback", metavar="URL", help="URL that is called when the job ends.")]


def submit(
    source: Source,
    wait: Wait = False,
    output: Output = None,
    url: Url = LOCAL,
    key: Key = "",
    mask: Mask = None,
    box: Boxes = None,
    keep: Keep = None,
    reject: Reject = None,
    classes: Classes = "overlay",
    detect: Detect = False,
    remove_audio: RemoveAudio = False,
    callback: Callback = None,
    preview: Preview = None,
    deinterlace: Deinterlace = False,
    as_json: Json = False,
) -> None:
    """Submit a job and print its id; with --wait the URL of its result, with --output the path of the downloaded file."""
    part = parse_part(preview) if preview else None
    boxes, kept = ([parse_box(text) for text in texts or []] for texts in (box, keep))
    with connected(url, key) as client:
        with sign_of_life("sending"):
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
                preview=(part.first_seconds, part.seconds) if part else None,
                deinterlace=deinterlace,
            )
        _tell(client, job, output, wait, as_json)


def _tell(client: Client, job: RemoteJob, output: Path | None, wait: bool, as_json: bool) -> None:
    """Print the job's id, and what comes of the job where that is waited for; or the whole job as JSON."""
    if not as_json:
        typer.echo(job.id)
    if wait or output:
        job = _finished(client, job, output)
    if as_json:
        typer.echo(json.dumps(vars(job) | {"output": str(output) if output else None}))
    elif wait or output:
        typer.echo(output or job.result_url)


def _finished(client: Client, job: RemoteJob, output: Path | None) -> RemoteJob:
    """The job, once it has succeeded and its result is downloaded if there is an output for it. Raises the job's error."""
    with _progress_bar() as show:
        job = client.wait(job.id, show)
    if job.error:
        raise job.error
    if output:
        client.download(job.id, output)
    return job


@contextmanager
def _progress_bar() -> Iterator[Callable[[RemoteJob], None]]:
    """A progress bar, if stderr is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task("queued", total=100)

        def show(job: RemoteJob) -> None:
            bars.update(task, description=job.state, completed=job.progress_percent)

        yield show
