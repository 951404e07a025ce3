"""A worker process: takes jobs from the queue, does periodic chores, and cleans up when it stops."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from prometheus_client import CollectorRegistry, start_http_server

from service import retention
from service.core import Core
from service.exporter import Exporter
from service.inference import fake
from service.inference.session import Networks
from service.jobs import callbacks, queues, workflow
from service.jobs.fleet import BEAT_SECONDS, Member
from service.metrics import DiskSpace, Meters, scrape_registry
from service.scratch import SCRATCH_FOLDER, Scratch
from service.settings import Settings
from service.steps import JobSteps

log = logging.getLogger(__name__)

DUE_SECONDS: Final = 1.0
TAKE_OVER_SECONDS: Final = 4.0
LOST_JOBS_SECONDS: Final = 30.0
RETENTION_SECONDS: Final = 3600.0
HAND_BACK_SECONDS: Final = 10.0  # for running jobs to remove their files
END_SECONDS: Final = 20.0  # hand-back included, beyond the jobs' own time; a worker that has not ended by then hangs


def work(core: Core, until: threading.Event) -> None:
    """Work until the event is set, then finish or hand back running jobs. One worker per process, as the workflow engine is global."""
    with Scratch(core.settings.data_dir / SCRATCH_FOLDER).opened() as scratch:
        networks = load_networks(core.settings)
        meters = Meters(CollectorRegistry())
        if core.settings.worker_metrics_port:
            registry = scrape_registry(meters, None, DiskSpace(core.settings.data_dir))
            start_http_server(core.settings.worker_metrics_port, registry=registry)
        # In a thread of its own, as it takes long to delete many files of a bucket.
        retention_chore = _Chore(RETENTION_SECONDS, lambda: retention.delete_expired(core, until))
        deleting = threading.Thread(target=_run_chores, args=([retention_chore], until), daemon=True)
        member = Member(core.database, core.queues, core.finalizer)
        with _engine(core, member, JobSteps(core, networks, meters, scratch, threading.Event())):
            log.info("worker ready", extra={"worker": member.id, "device": networks.versions["device"]})
            deleting.start()
            _run_chores(_chores(core, member, networks, meters, scratch), until)
        deleting.join(HAND_BACK_SECONDS)


def load_networks(settings: Settings) -> Networks:
    if settings.networks == "fake":
        return fake.networks(workers=2)
    return Networks.load(settings.device, weights=settings.weights, precision=settings.precision, warm=True)


@contextmanager
def _engine(core: Core, member: Member, steps: JobSteps) -> Iterator[None]:
    """Run the workflow engine. At the end jobs may finish for a while; then the rest is handed back."""
    settings = core.settings
    config: DBOSConfig = {
        "name": queues.APPLICATION,
        "system_database_url": core.database.url,
        "system_database_engine": core.database.workflow_engine(),
        "application_version": queues.VERSION,
        "executor_id": member.id,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": False,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    workflow.define(steps)
    member.beat()
    stop_beating = threading.Event()
    # In a thread of its own: a chore that takes long must not cost the lease.
    beating = threading.Thread(target=_run_chores, args=([_Chore(BEAT_SECONDS, member.beat)], stop_beating), daemon=True)
    beating.start()
    stop_exporting = threading.Event()
    exporting = threading.Thread(target=Exporter(core, stop_exporting).run, daemon=True)
    exporting.start()
    DBOS.launch()
    queues.register(settings.worker_jobs, settings.account_jobs, settings.worker_fetches, settings.account_fetches)
    try:
        yield
    finally:
        stop_exporting.set()
        DBOS.destroy(workflow_completion_timeout_sec=int(settings.stop_seconds), destroy_registry=True)
        steps.stopping.set()
        steps.running.wait_until_none(HAND_BACK_SECONDS)
        exporting.join(HAND_BACK_SECONDS)
        stop_beating.set()
        beating.join(BEAT_SECONDS)
        member.leave()


@dataclass
class _Chore:
    """A periodic task."""

    seconds: float
    do: Callable[[], object]
    due: float = field(default=0.0)


def _chores(core: Core, member: Member, networks: Networks, meters: Meters, scratch: Scratch) -> list[_Chore]:
    def count_batches() -> None:
        for name in ("segmenter", "matte", "inpainter_encoder", "inpainter"):
            batches = getattr(networks, name).metrics()
            meters.count_batches(name, batches.batches, batches.windows, batches.capacity)

    return [
        _Chore(DUE_SECONDS, lambda: callbacks.enqueue_due(core.database, core.queues)),
        _Chore(DUE_SECONDS, core.batches.advance_all),
        _Chore(TAKE_OVER_SECONDS, member.take_over),
        _Chore(TAKE_OVER_SECONDS, scratch.sweep),
        _Chore(TAKE_OVER_SECONDS, count_batches),
        _Chore(LOST_JOBS_SECONDS, member.fail_lost_jobs),
    ]


def _run_chores(chores: list[_Chore], until: threading.Event) -> None:
    """Run each chore when it is due; one that fails is tried again next time."""
    while not until.is_set():
        for chore in chores:
            if time.monotonic() < chore.due:
                continue
            chore.due = time.monotonic() + chore.seconds
            try:
                chore.do()
            except Exception:
                log.exception("a worker's chore failed")
        until.wait(min(chore.seconds for chore in chores))
