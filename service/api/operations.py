"""Endpoints for operators: health, readiness and metrics."""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

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

Value = TypeVar("Value")
Check = Callable[[], object]  # raises if its part does not work
CHECK_SECONDS: Final = 5.0
FRESH_SECONDS: Final = 2.0  # cached this long, so that frequent anonymous requests cause little work
METRICS_SECONDS: Final = 1.0
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "healthz": {"status": "ok", "version": VERSION},
    "readyz": {"status": "ready", "checks": {"database": "ok", "storage": "ok", "model": "ok", "disk": "ok"}},
}


@dataclass(frozen=True)
class Probes:
    """What the checks need besides the app context. `model` raises if the networks are missing or damaged."""

    model: Check
    folder: Path  # the data folder
    min_free_bytes: int
    registry: CollectorRegistry
    metrics_seconds: float = METRICS_SECONDS  # scrapes within this time share one result


def router(context: AppContext, probes: Probes) -> APIRouter:
    """`/healthz`, `/readyz`, `/metrics`."""
    routes = APIRouter(tags=["operations"])
    readiness = Shared(lambda: _outcomes(_checks(context, probes)), FRESH_SECONDS)
    metrics_text = Shared(lambda: run_in_threadpool(generate_latest, probes.registry), probes.metrics_seconds)

    @routes.get("/healthz", summary="Health", responses={200: _example_response("The process responds.", "healthz")})
    async def healthz() -> Response:
        return JSONResponse(EXAMPLES["healthz"])

    @routes.get(
        "/readyz",
        summary="Readiness",
        responses={
            200: _example_response("All parts work.", "readyz"),
            503: {"description": "A part does not work; `checks` says which."},
        },
    )
    async def readyz() -> Response:
        checks = await readiness.value()
        ready = all(outcome == "ok" for outcome in checks.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    @routes.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(await metrics_text.value(), media_type=CONTENT_TYPE_LATEST)

    return routes


class Shared(Generic[Value]):
    """A value that takes work: requests within `seconds` share one, and only one is computed at a time."""

    def __init__(self, compute: Callable[[], Awaitable[Value]], seconds: float) -> None:
        self._compute = compute
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._value: Value | None = None
        self._fresh_until = 0.0

    async def value(self) -> Value:
        async with self._turn:
            if self._value is None or time.monotonic() >= self._fresh_until:
                self._value = await self._compute()
                self._fresh_until = time.monotonic() + self._seconds
            return self._value


async def _outcomes(checks: Mapping[str, Check]) -> Mapping[str, str]:
    """The outcome of each check: `ok`, `failed` or `timed out`. The log has the reason."""
    outcomes = await asyncio.gather(*(_outcome(name, check) for name, check in checks.items()))
    return dict(zip(checks, outcomes, strict=True))


async def _outcome(name: str, check: Check) -> str:
    try:
        with anyio.fail_after(CHECK_SECONDS):
            await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
    except TimeoutError:
        log.warning("%s did not respond within %g s", name, CHECK_SECONDS)
        return "timed out"
    except Exception:
        log.warning("%s is not ready", name, exc_info=True)
        return "failed"
    return "ok"


def _checks(context: AppContext, probes: Probes) -> dict[str, Check]:
    def disk() -> None:
        if shutil.disk_usage(probes.folder).free < probes.min_free_bytes:
            raise StorageError(f"less than {probes.min_free_bytes / 2**20:g} MiB are free")

    return {"database": context.job_service.ready, "storage": context.storage.check, "model": probes.model, "disk": disk}


def _example_response(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": EXAMPLES[example]}}}


class JobMetricsCollector(Collector):
    """Totals over all jobs, read from the database at each scrape. Registered by `metrics.scrape_registry`."""

    def __init__(self, job_service: JobService) -> None:
        self._job_service = job_service

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise the registry would query the database when it is created

    def collect(self) -> Iterable[Metric]:
        """All metrics; without a database only that it is down."""
        try:
            self._job_service.ready()
            metrics = self._job_service.read_metrics()
        except CleanplateError:
            yield GaugeMetricFamily("cleanplate_database_up", "Whether the database responds.", 0)
            return
        yield GaugeMetricFamily("cleanplate_database_up", "Whether the database responds.", 1)
        yield from _families(metrics)


def _families(metrics: JobMetrics) -> Iterable[Metric]:
    # Zeros are exported too: an alert on a series that disappears never resolves.
    yield _gauge("jobs", "Jobs in the database, by facade and state.", ("facade", "state"), _by_state(metrics.jobs, State))
    yield GaugeMetricFamily("cleanplate_queue_jobs", "Jobs waiting for a worker.", metrics.queued_jobs)
    yield GaugeMetricFamily("cleanplate_queue_age_seconds", "How long the oldest queued job has waited.", metrics.oldest_queued_seconds)
    yield _gauge("credits", "Sums of the ledger's entries, by kind and fund.", ("kind", "fund"), metrics.free_credits.items())
    yield GaugeMetricFamily("cleanplate_credits_held", "Credits held by open jobs.", metrics.held_credits)
    yield _gauge("callbacks", "Callbacks in the database, by outcome.", ("outcome",), _by_outcome(metrics.deliveries))
    yield GaugeMetricFamily("cleanplate_workers", "Live workers.", metrics.workers)
    yield from _recent_families(metrics.recent)


def _recent_families(recent: Recent) -> Iterable[Metric]:
    yield _gauge("recent_jobs", "Jobs that ended in the last hour.", ("facade", "state"), _by_state(recent.jobs, sorted(FINAL)))
    failures = (((kind,), count) for kind, count in recent.failures.items())
    yield _gauge("recent_failures", "Jobs that failed in the last hour, by kind of error.", ("kind",), failures)
    yield _gauge(
        "recent_callbacks", "Callbacks whose last attempt was in the last hour, by outcome.", ("outcome",), _by_outcome(recent.deliveries)
    )
    yield _histogram("recent_job_seconds", "Time from submission to success, of jobs that ended in the last hour.", recent.seconds)
    yield _histogram("recent_wait_seconds", "Time from submission to start, of jobs that ended in the last hour.", recent.wait_seconds)


def _gauge(name: str, help_text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], int]]) -> Metric:
    gauge = GaugeMetricFamily(f"cleanplate_{name}", help_text, labels=labels)
    for label_values, value in values:
        gauge.add_metric(label_values, value)
    return gauge


def _histogram(name: str, help_text: str, distribution: Distribution) -> Metric:
    """A histogram over a time window, not since the start, so that a quantile needs no `rate()`."""
    bounds = [*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf"]
    buckets = list(zip(bounds, distribution.counts, strict=True))
    return GaugeHistogramMetricFamily(f"cleanplate_{name}", help_text, buckets, distribution.total_seconds)


def _by_state(jobs: Mapping[tuple[str, str], int], states: Iterable[State]) -> Iterator[tuple[Sequence[str], int]]:
    """Counts for all of these states, of each facade that has jobs."""
    for facade in sorted({facade for facade, _ in jobs}):
        yield from (((facade, state), jobs.get((facade, state), 0)) for state in states)


def _by_outcome(deliveries: Mapping[str, int]) -> Iterator[tuple[Sequence[str], int]]:
    return (((outcome,), deliveries.get(outcome, 0)) for outcome in OUTCOMES)
