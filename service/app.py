"""The HTTP service: one FastAPI application that serves all facades over one job service."""

from functools import cache
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException

from models import registry, spec
from service.api import admin, archive, docs_page, files, operations, page
from service.api.capacity import Capacity
from service.api.cross_origin import CrossOrigin
from service.api.facade import ApiOptions, AppContext, InputLimits
from service.api.job_watcher import JobWatcher
from service.api.openapi import DocumentedApp
from service.api.operations import Check, JobMetricsCollector, Probes
from service.api.rates import DETECT, READ, SUBMIT, Rates, WrongKeys
from service.api.requests_log import RequestsLog
from service.api.sign_in import SignIn
from service.api.trailing_slash import TrailingSlash
from service.api.unrouted import unrouted
from service.core import FACADES, Core
from service.inference.folder import in_use, manifest_of
from service.jobs.job_service import JobService
from service.metrics import DiskSpace, Meters, scrape_registry
from service.settings import Settings
from service.version import VERSION

SUMMARY: Final = "Removes visible watermarks, logos and burned-in text from videos and images."
TAGS: Final = {
    "native": "Cleanplate's own API for videos and images: jobs as resources, HTTP status codes, problem details (RFC 9457).",
    "kie": "Videos, asynchronous: a task, its record and a signed callback. Errors have HTTP status 200 and a `code`.",
    "savesora": "Videos, in one request that waits for the result; the key is in the body. Errors have HTTP status 200 and a `code`.",
    "aidge": "Videos, asynchronous, with signed requests; parameters in query or body. Errors have HTTP status 200 and a `resCode`.",
    "kaze": "Images, asynchronous; strokes may mark what to remove. Errors have HTTP status 200 and a `code`.",
    "admin": "Accounts, keys, credits, limits, usage and the state of the service, for operators: keys need the scope `admin`.",
    "files": "Results and uploads, served by the signed links that the other APIs return.",
    "operations": "Health, readiness and metrics for operators. No key is needed.",
}


def create_app(core: Core, metrics_folder: Path | None = None) -> FastAPI:
    """Build the application. `metrics_folder`: where the worker beside it writes its metrics; None without such a worker."""
    settings = core.settings
    context = open_app_context(core)
    meters = Meters(CollectorRegistry())
    registry = scrape_registry(meters, metrics_folder, JobMetricsCollector(context.job_service), DiskSpace(settings.data_dir))
    probes = Probes(_check_models(settings), settings.data_dir, settings.free_disk_bytes, registry)
    tags = [{"name": name, "description": description} for name, description in TAGS.items()]
    app = DocumentedApp(
        title="Cleanplate",
        summary=SUMMARY,
        version=VERSION,
        openapi_tags=tags,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would lead to the host that the request names
    )
    for facade in FACADES.values():
        app.include_router(facade.router(context))
    if "admin" not in settings.features_off:
        app.include_router(admin.router(context, core.administration, core.queues))
        app.include_router(page.admin_router())
    app.include_router(files.router(core.links, core.storage))
    app.include_router(archive.router(context))
    app.include_router(operations.router(context, probes))
    app.include_router(docs_page.router())
    app.include_router(page.router(core.links))
    app.add_exception_handler(HTTPException, unrouted(FACADES.values()))
    app.add_middleware(TrailingSlash)
    app.add_middleware(CrossOrigin, origins=settings.cors_origins)
    app.add_middleware(RequestsLog, meters=meters)
    app.state.context = context
    return app


def open_app_context(core: Core) -> AppContext:
    """Build what the facades work with: job service, links, storage, rate limits and options."""
    settings = core.settings
    job_service = JobService(core.database, core.accounts, core.queues, core.finalizer, core.rules)
    return AppContext(
        job_service=job_service,
        sign_in=SignIn(job_service, WrongKeys(settings.rate_wrong_keys, settings.rate_store)),
        links=core.links,
        storage=core.storage,
        egress=core.egress,
        rates=Rates({SUBMIT: settings.rate_submit, DETECT: settings.rate_detect, READ: settings.rate_read}, settings.rate_store),
        watcher=JobWatcher(job_service, settings.account_waits, settings.total_waits),
        options=_options(settings),
        account_files=core.account_files,
        batches=core.batches,
        webhook_secrets=core.webhook_secrets,
        transfers=core.transfers,
        destinations=core.destinations,
        capacity=Capacity(disk=core.disk),
    )


def _check_models(settings: Settings) -> Check:
    """A check that raises where a network's file is missing or damaged. The files are read once, on the first call."""

    @cache
    def check() -> None:
        if settings.networks == "shipped":
            for network in spec.NETWORKS:
                registry.find(network, manifest_of(network, in_use(settings.weights)))

    return check


def _options(settings: Settings) -> ApiOptions:
    return ApiOptions(
        result_link_seconds=settings.result_link_seconds,
        hold_seconds=settings.hold_seconds,
        signature_window_seconds=settings.signature_window_seconds,
        sora_links_only=settings.sora_links_only,
        upload_bytes=settings.upload_bytes,
        body_bytes=settings.body_bytes,
        json_depth=settings.json_depth,
        upload_fetches=settings.upload_fetches,
        account_fetches=settings.account_fetches,
        limits=InputLimits(
            file_bytes=min(settings.limits.file_bytes, settings.upload_bytes),
            duration_seconds=settings.limits.duration_seconds,
            long_side_pixels=settings.limits.long_side_pixels,
            short_side_pixels=settings.limits.short_side_pixels,
            still_pixels=settings.limits.still_pixels,
        ),
    )
