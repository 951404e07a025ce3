"""For those who run the service: is it alive, is it ready, and what is it doing."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool

from service.api.facade import AppContext
from service.errors import CleanplateError, StorageError
from service.jobs.job import FINAL, State
from service.jobs.job_service import JobService
from service.jobs.metrics import BOUNDS_SECONDS, OUTCOMES, Distribution, JobMetrics, Recent
from service.version import VERSION

log = logging.getLogger(__name__)

Check = Callable[[], object]  # raises when its part does not work
CHECK_SECONDS: Final = 5.0
FRESH_SECONDS: Final = 2.0  # strangers who ask all the time cause no more work than this
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "healthz": {"status": "ok", "version": VERSION},
    "readyz": {"status": "ready", "checks": {"database": "ok", "storage": "ok", "model": "ok", "disk": "ok"}},
}


@dataclass(frozen=True)
class Probes:
    """What the application knows besides the office. `model` raises when the networks are not there."""

    model: Check
    folder: Path  # where jobs work
    least_free_bytes: int
    registry: CollectorRegistry


def router(context: AppContext, probes: Probes) -> APIRouter:
    """`/healthz`, `/readyz`, `/metrics`."""
    routes = APIRouter(tags=["operations"])
    readiness = Readiness(_checks(context, probes))

    @routes.get("/healthz", summary="Is it alive", responses={200: _told("The process answers.", "healthz")})
    async def healthz() -> Response:
        return JSONResponse(EXAMPLES["healthz"])

    @routes.get(
        "/readyz",
        summary="Is it ready",
        responses={200: _told("All parts work.", "readyz"), 503: {"description": "Some part does not work: `checks` says which."}},
    )
    async def readyz() -> Response:
        checks = await readiness.checks()
        ready = all(outcome == "ok" for outcome in checks.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    @routes.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(await run_in_threadpool(generate_latest, probes.registry), media_type=CONTENT_TYPE_LATEST)

    return routes


class Readiness:
    """Asks each part whether it works; all who ask at about the same time share one answer."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._turn = asyncio.Lock()
        self._outcomes: dict[str, str] = {}
        self._fresh_until = 0.0

    async def checks(self) -> dict[str, str]:
        """Of each part: `ok`, `failed` or `timed out`. The log knows why."""
        async with self._turn:
            if time.monotonic() >= self._fresh_until:
                outcomes = await asyncio.gather(*(_outcome(name, check) for name, check in self._checks.items()))
                self._outcomes = dict(zip(self._checks, outcomes, strict=True))
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._outcomes


async def _outcome(name: str, check: Check) -> str:
    try:
        with anyio.fail_after(CHECK_SECONDS):
            await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
    except TimeoutError:
        log.warning("%s did not answer within %g s", name, CHECK_SECONDS)
        return "timed out"
    except Exception:
        log.warning("%s is not ready", name, exc_info=True)
        return "failed"
    return "ok"


def _checks(context: AppContext, probes: Probes) -> dict[str, Check]:
    def disk() -> None:
        if shutil.disk_usage(probes.folder).free < probes.least_free_bytes:
            raise StorageError(f"less than {probes.least_free_bytes / 2**20:g} MiB are free")

    return {"database": context.job_service.ready, "storage": context.storage.check, "model": probes.model, "disk": disk}


def _told(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": EXAMPLES[example]}}}


class JobMetricsCollector(Collector):
    """Sums over all jobs, from the database, at each scrape. The application hands it to `metrics.scraped`."""

    def __init__(self, job_service: JobService) -> None:
        self._job_service = job_service

    def describe(self) -> Iterable[Metric]:
        return ()  # else a registry would ask the database at its start

    def collect(self) -> Iterable[Metric]:
        """Without a database all that is told is that there is none."""
        try:
            self._job_service.ready()
            figures = self._job_service.figures()
        except CleanplateError:
            yield GaugeMetricFamily("cleanplate_database_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("cleanplate_database_up", "Whether the database answers.", 1)
        yield from _families(figures)


def _families(figures: JobMetrics) -> Iterable[Metric]:
    # Those at zero are told too: an alert on what has no line never ends.
    yield _gauge("jobs", "Jobs that are known, by facade and state.", ("facade", "state"), _by_state(figures.jobs, State))
    yield GaugeMetricFamily("cleanplate_queue_jobs", "Jobs that wait for a worker.", figures.queued_jobs)
    yield GaugeMetricFamily("cleanplate_queue_age_seconds", "How long the oldest waiting job waits.", figures.oldest_queued_seconds)
    yield _gauge("credits", "Sums of the ledger's lines, by kind and fund.", ("kind", "fund"), figures.free_credits.items())
    yield GaugeMetricFamily("cleanplate_credits_held", "Credits that open jobs hold.", figures.held_credits)
    yield _gauge("callbacks", "Callbacks that are known, by outcome.", ("outcome",), _by_outcome(figures.deliveries))
    yield GaugeMetricFamily("cleanplate_workers", "Workers that are alive.", figures.workers)
    yield from _recent_families(figures.recent)


def _recent_families(recent: Recent) -> Iterable[Metric]:
    yield _gauge("recent_jobs", "Jobs that ended in the last hour.", ("facade", "state"), _by_state(recent.jobs, sorted(FINAL)))
    failures = (((kind,), count) for kind, count in recent.failures.items())
    yield _gauge("recent_failures", "Jobs that failed in the last hour, by kind of error.", ("kind",), failures)
    yield _gauge("recent_callbacks", "Callbacks last tried in the last hour, by outcome.", ("outcome",), _by_outcome(recent.deliveries))
    yield _spread("recent_job_seconds", "From submit to success, of jobs that ended in the last hour.", recent.seconds)
    yield _spread("recent_wait_seconds", "From submit to start, of jobs that ended in the last hour.", recent.wait_seconds)


def _gauge(name: str, told: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], int]]) -> Metric:
    gauge = GaugeMetricFamily(f"cleanplate_{name}", told, labels=labels)
    for label_values, value in values:
        gauge.add_metric(label_values, value)
    return gauge


def _spread(name: str, told: str, spread: Distribution) -> Metric:
    """Of a time window, not since a start: a quantile needs no `rate()`."""
    bounds = [*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf"]
    return GaugeHistogramMetricFamily(f"cleanplate_{name}", told, list(zip(bounds, spread.counts, strict=True)), spread.total_seconds)


def _by_state(jobs: Mapping[tuple[str, str], int], states: Iterable[State]) -> Iterator[tuple[Sequence[str], int]]:
    """With all these states, of the facades that have jobs."""
    for facade in sorted({facade for facade, _ in jobs}):
        yield from (((facade, state), jobs.get((facade, state), 0)) for state in states)


def _by_outcome(deliveries: Mapping[str, int]) -> Iterator[tuple[Sequence[str], int]]:
    return (((outcome,), deliveries.get(outcome, 0)) for outcome in OUTCOMES)
