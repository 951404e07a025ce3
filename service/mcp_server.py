"""The service as tools for agents, by the Model Context Protocol: a client of the native API that an agent can call.

On stdio it runs beside the agent, with one key, and may read and write the files of one folder. Over HTTP its callers may be anybody: each
sends a key of its own, sources are addresses, and results are links; no file of this machine is read or written.
"""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from service.async_client import AsyncClient
from service.errors import CleanplateError, RequestError
from service.remote_job import RemoteJob
from service.remote_order import is_address
from service.timed_box import parse_box
from service.version import VERSION

NAME: Final = "cleanplate"
INSTRUCTIONS: Final = (
    "Removes visible watermarks, logos and burned-in text from videos and images. Call `detect` to see which marks there are, or `clean` "
    "to remove them; both return a job. A job that has not ended when they return goes on: ask `status`. `download` brings the result."
)
MOST_WAIT_SECONDS: Final = 600
MARK_FIELDS: Final = ("id", "box", "first_seconds", "last_seconds", "confidence")  # a mask would fill an agent's context

Source = Annotated[str, Field(description="Address of a video or an image, or a file in the server's folder.")]
JobId = Annotated[str, Field(description="Id of a job, as `detect` and `clean` return it.")]
Wait = Annotated[float, Field(ge=0, le=MOST_WAIT_SECONDS, description="How long to wait for the job's end, in seconds.")]
Length = Annotated[float | None, Field(gt=0, description="Seconds of the video, where the price depends on them.")]
Side = Annotated[int | None, Field(ge=1, description="Of the picture, in pixels.")]


class JobInfo(BaseModel):
    """A job."""

    id: str
    state: str
    progress_percent: int
    ended: bool
    error: str | None = Field(None, description="Why it failed.")
    result_url: str | None = Field(None, description="A signed link to the result, which expires.")

    @classmethod
    def of(cls, job: RemoteJob) -> "JobInfo":
        """The job as an agent sees it."""
        return cls(
            id=job.id,
            state=job.state,
            progress_percent=job.progress_percent,
            ended=job.ended,
            error=str(job.error) if job.error else None,
            result_url=job.result_url,
        )


class Detection(BaseModel):
    """A job that looks for marks, and what it has found."""

    job: JobInfo
    marks: list[dict[str, Any]] | None = Field(None, description="Id, box, time and confidence of each mark; null until the job has ended.")


class Price(BaseModel):
    """What a job would cost and take."""

    credits: int
    seconds: float | None = None
    wait_seconds: float | None = None


class Downloaded(BaseModel):
    """Where a result is."""

    path: str | None = Field(None, description="The file that was written.")
    url: str | None = Field(None, description="A link, where no file may be written.")


@dataclass(frozen=True)
class Access:
    """Who calls, and what may be touched. `key` None: each request brings its own. `folder` None: no file of this machine."""

    url: str
    key: str | None
    folder: Path | None

    @asynccontextmanager
    async def client(self, context: Context[Any, Any]) -> AsyncIterator[AsyncClient]:
        """A client for the caller. An error of ours is told to the agent, in its own words."""
        key = self.key if self.key is not None else _bearer(context)
        try:
            async with AsyncClient(self.url, key) as client:
                yield client
        except CleanplateError as error:
            raise ToolError(str(error)) from error

    def source(self, text: str) -> str:
        """An address as it is, or the path of a file in the folder. Raises RequestError for any other file."""
        return text if is_address(text) else str(self.path(text))

    def path(self, text: str) -> Path:
        """The path of a file in the folder. Raises RequestError for one outside, by whatever links or dots it leads there."""
        if self.folder is None:
            raise RequestError("only web addresses can be used here, no files")
        folder = self.folder.resolve()
        path = (folder / text).resolve()
        if not path.is_relative_to(folder):
            raise RequestError(f"{text} is outside the folder of this server")
        return path


def mcp_server(access: Access) -> MCPServer[Any]:
    """The server with its tools, for any transport."""
    server: MCPServer[Any] = MCPServer(NAME, instructions=INSTRUCTIONS, version=VERSION, log_level="WARNING")
    _add_orders(server, access)
    _add_jobs(server, access)
    return server


def _add_orders(server: MCPServer[Any], access: Access) -> None:
    """Add the tools that order: estimate, detect, clean."""

    @server.tool()
    async def estimate(
        context: Context[Any, Any],
        kind: Literal["clean", "detect"] = "clean",
        media: Literal["video", "image"] = "video",
        seconds: Length = None,
        width: Side = None,
        height: Side = None,
    ) -> Price:
        """What a job would cost in credits, and about how long it would wait and take. Orders nothing."""
        async with access.client(context) as client:
            found = await client.estimate(kind=kind, media=media, seconds=seconds, width=width, height=height)
        return Price(credits=found.credits, seconds=found.seconds, wait_seconds=found.wait_seconds)

    @server.tool()
    async def detect(context: Context[Any, Any], source: Source, wait_seconds: Wait = 60) -> Detection:
        """Find the marks of a video or an image without removing any."""
        async with access.client(context) as client:
            job = await client.submit(access.source(source), kind="detect")
            return await _detection(client, await _waited(client, job, wait_seconds, context))

    @server.tool()
    async def clean(
        context: Context[Any, Any],
        source: Annotated[str | None, Field(description="As of `detect`; not with `detection`.")] = None,
        detection: Annotated[str | None, Field(description="Id of a job of `detect`: its marks are removed.")] = None,
        marks: Annotated[list[str], Field(description="Ids of the marks of `detection` to remove; by default all.")] = [],  # noqa: B006
        boxes: Annotated[list[str], Field(description="Remove what is in these: x1,y1,x2,y2[@t1-t2], pixels or fractions.")] = [],  # noqa: B006
        remove_audio: bool = False,
        wait_seconds: Wait = 60,
    ) -> JobInfo:
        """Remove the marks of a video or an image. Costs credits when it succeeds and has removed something."""
        async with access.client(context) as client:
            if (source is None) is (detection is None):
                raise RequestError("give either a source or a detection")
            if detection is not None:
                job = await client.remove(detection, marks=marks)
            else:
                job = await client.submit(access.source(str(source)), boxes=[parse_box(box) for box in boxes], remove_audio=remove_audio)
            return JobInfo.of(await _waited(client, job, wait_seconds, context))


def _add_jobs(server: MCPServer[Any], access: Access) -> None:
    """Add the tools that follow a job: status, cancel, download."""

    @server.tool()
    async def status(context: Context[Any, Any], job_id: JobId, wait_seconds: Wait = 0) -> JobInfo:
        """How far a job is; with `wait_seconds` once it has ended, or after that time."""
        async with access.client(context) as client:
            return JobInfo.of(await _waited(client, await client.get(job_id), wait_seconds, context))

    @server.tool()
    async def cancel(context: Context[Any, Any], job_id: JobId) -> JobInfo:
        """Cancel a job and refund it. One that has ended stays as it is."""
        async with access.client(context) as client:
            return JobInfo.of(await client.cancel(job_id))

    @server.tool()
    async def download(
        context: Context[Any, Any],
        job_id: JobId,
        path: Annotated[str | None, Field(description="File in the server's folder to write the result to; without it a link.")] = None,
    ) -> Downloaded:
        """Bring the result of a job that has succeeded: as a file, or as a link."""
        async with access.client(context) as client:
            if path is not None:
                target = access.path(path)
                await client.download(job_id, target)
                return Downloaded(path=str(target))
            job = await client.get(job_id)
            if job.error:
                raise job.error
            if job.result_url is None:
                raise RequestError(f"the job is {job.state}")
            return Downloaded(url=job.result_url)


async def _waited(client: AsyncClient, job: RemoteJob, seconds: float, context: Context[Any, Any]) -> RemoteJob:
    """The job at its end, or as it is when the time is up; the agent's host sees the progress meanwhile."""
    with anyio.move_on_after(seconds):
        while not job.ended:
            await context.report_progress(job.progress_percent, 100, job.state)
            await anyio.sleep(min(1.0, seconds))
            job = await client.get(job.id)
    return job


async def _detection(client: AsyncClient, job: RemoteJob) -> Detection:
    """What an ended job has found. Raises its error if it failed."""
    if job.error:
        raise job.error
    if not job.ended:
        return Detection(job=JobInfo.of(job))
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "detection.json"
        await client.download(job.id, document)
        found = json.loads(document.read_bytes())
    marks = [{name: mark.get(name) for name in MARK_FIELDS} for mark in found["marks"]]
    return Detection(job=JobInfo.of(job), marks=marks)


def _bearer(context: Context[Any, Any]) -> str:
    """The key that the caller's request brings."""
    scheme, _, key = (context.headers or {}).get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ToolError("send the account's key as `Authorization: Bearer KEY`")
    return key.strip()
