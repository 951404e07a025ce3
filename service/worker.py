"""A worker: takes jobs from the queue, looks after the fleet between them, and leaves nothing behind when it stops."""

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
from service.inference import fake
from service.inference.session import Networks
from service.jobs import queues, workflow
from service.jobs.fleet import BEAT_SECONDS, Member
from service.metrics import Disk, Meters, scraped
from service.scratch import SCRATCH_FOLDER, Scratch
from service.settings import Settings
from service.steps import JobSteps

log = logging.getLogger(__name__)

TAKE_OVER_SECONDS: Final = 4.0
MEND_SECONDS: Final = 30.0
FORGET_SECONDS: Final = 3600.0
HAND_BACK_SECONDS: Final = 10.0  # for what runs to clear away its files
END_SECONDS: Final = 20.0  # with that, and beyond what jobs are let: a worker that has not ended then never will


def work(core: Core, until: threading.Event) -> None:
    """Work until the event is set, then finish or hand back what runs. One worker a process: the engine is one."""
    with Scratch(core.settings.data_dir / SCRATCH_FOLDER).begun() as scratch:
        networks = load_networks(core.settings)
        meters = Meters(CollectorRegistry())
        if core.settings.worker_metrics_port:
            figures = scraped(meters, None, Disk(core.settings.data_dir))
            start_http_server(core.settings.worker_metrics_port, registry=figures)
        member = Member(core.database, core.queues, core.finalizer)
        with _engine(core, member, JobSteps(core, networks, meters, scratch, threading.Event())):
            log.info("worker ready", extra={"worker": member.id, "device": networks.versions["device"]})
            _look_after(_chores(core, member, networks, meters, scratch), until)


def load_networks(settings: Settings) -> Networks:
    if settings.networks == "fake":
        return fake.networks(workers=2)
    return Networks.load(settings.device, weights=settings.weights, precision=settings.precision, warm=True)


@contextmanager
def _engine(core: Core, member: Member, steps: JobSteps) -> Iterator[None]:
    """The workflow engine, running. In the end jobs may finish for a while; then the rest is handed back."""
    settings = core.settings
    config: DBOSConfig = {
        "name": queues.APPLICATION,
        "system_database_url": core.database.url,
        "application_version": queues.VERSION,
        "executor_id": member.id,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": False,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    workflow.define(steps)
    member.beat()
    DBOS.launch()
    queues.register(settings.worker_jobs, settings.account_jobs)
    try:
        yield
    finally:
        beating = threading.Event()
        threading.Thread(target=_look_after, args=([_Chore(BEAT_SECONDS, member.beat)], beating), daemon=True).start()
        DBOS.destroy(workflow_completion_timeout_sec=int(settings.stop_seconds), destroy_registry=True)
        steps.stopping.set()
        steps.running.wait_until_none(HAND_BACK_SECONDS)
        beating.set()
        member.leave()


@dataclass
class _Chore:
    """Something to be done every so often."""

    seconds: float
    do: Callable[[], object]
    due: float = field(default=0.0)


def _chores(core: Core, member: Member, networks: Networks, meters: Meters, scratch: Scratch) -> list[_Chore]:
    def count() -> None:
        for name in ("segmenter", "matte", "inpainter"):
            figures = getattr(networks, name).figures()
            meters.count_batches(name, figures.batches, figures.windows, figures.capacity)

    return [
        _Chore(BEAT_SECONDS, member.beat),
        _Chore(TAKE_OVER_SECONDS, member.take_over),
        _Chore(TAKE_OVER_SECONDS, scratch.sweep),
        _Chore(TAKE_OVER_SECONDS, count),
        _Chore(MEND_SECONDS, member.mend),
        _Chore(FORGET_SECONDS, lambda: retention.forget(core)),
    ]


def _look_after(chores: list[_Chore], until: threading.Event) -> None:
    """Do each chore when it is due; one that fails is tried again next time."""
    while not until.is_set():
        for chore in chores:
            if time.monotonic() < chore.due:
                continue
            chore.due = time.monotonic() + chore.seconds
            try:
                chore.do()
            except Exception:
                log.exception("a chore of the worker failed")
        until.wait(min(chore.seconds for chore in chores))
