"""The invariants that must hold after any crash, checked in the service's database, files and processes."""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from benchmarks.fleet import Fleet, within
from benchmarks.orders import Order, Placed
from service.core import Core
from service.jobs import batch_store, ledger, store
from service.jobs.batch import Batch
from service.jobs.credits import Balance, Entry, Kind, balance_of
from service.jobs.job import Job, State
from service.jobs.store import job_of
from service.jobs.tables import ACCOUNTS, BATCH_ITEMS, BATCHES, DELIVERIES, JOBS, TRANSFERS, UPLOADS
from service.jobs.transfers import PREFIX
from service.outside.storage import STAGING

END_SECONDS = 300.0  # likewise; an idle machine takes twelve
CLEAN_SECONDS = 20.0
STALE_SECONDS = 7200.0  # older than the files that a worker's sweep keeps as writes in progress
LINK_SECONDS = 60
UNSUCCESSFUL = (State.FAILED, State.CANCELLED)
ALLOWED_ENDS: dict[str, tuple[State, ...]] = {"missing": (State.FAILED,), "cancelled": (State.SUCCEEDED, State.CANCELLED)}
KEPT = ("source", "mask", "clean", "thumbnail", "report")  # file stems allowed in a job's folder in the storage


@dataclass(frozen=True)
class Violation:
    """A violated invariant. `kind`: lost, charged, callback, result, end, file, upload or process."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def wait_for_end(core: Core, seconds: float = END_SECONDS) -> float | None:
    """Wait until no job or batch is open, no callback is pending and no workflow is queued or running; when that was; None: a timeout."""
    return time.monotonic() if within(seconds, lambda: not (_open(core) or core.queues.running())) else None


def _open(core: Core) -> int:
    """The number of jobs and batches that have not ended and of pending callbacks."""
    jobs = sa.select(sa.func.count()).select_from(JOBS).where(sa.not_(JOBS.c.ended)).scalar_subquery()
    calls = sa.select(sa.func.count()).select_from(DELIVERIES).where(DELIVERIES.c.outcome == "pending").scalar_subquery()
    batches = sa.select(sa.func.count()).select_from(BATCHES).where(BATCHES.c.finished_ms.is_(None)).scalar_subquery()
    with core.database.read() as connection:
        return int(connection.execute(sa.select(jobs + calls + batches)).scalar_one())


def check(fleet: Fleet, placed: Sequence[Placed]) -> list[Violation]:
    """All violations, after `wait_for_end`; `placed`: the orders whose jobs are checked individually."""
    jobs = all_jobs(fleet.core)
    found = [
        *_lost_violations(jobs, fleet.core),
        *ledger_violations(fleet.core, jobs),
        *file_violations(fleet),
        *upload_violations(fleet.core),
    ]
    for order in placed:
        if order.order.batch_urls:
            found += _batch_violations(order, jobs, fleet)
            continue
        its_jobs = [job for job in jobs if _is_of(job, order.order)]
        found += [*_order_violations(order, its_jobs), *(v for job in its_jobs for v in _job_violations(job, order.order, fleet))]
    return found


def all_jobs(core: Core) -> list[Job]:
    """All jobs in the order of their creation."""
    with core.database.read() as connection:
        return [job_of(row) for row in connection.execute(sa.select(JOBS).order_by(JOBS.c.created_ms))]


def _is_of(job: Job, order: Order) -> bool:
    return job.spec.source_url == order.source_url or (order.callback_url is not None and job.callback_url == order.callback_url)


def _lost_violations(jobs: Iterable[Job], core: Core) -> Iterator[Violation]:
    for job in jobs:
        if not job.ended:
            yield Violation("lost", f"{job.id} is still {job.state}")
    for workflow in core.queues.running():
        yield Violation("lost", f"the workflow {workflow.workflow_id} still runs, on {workflow.executor_id}")


def _order_violations(placed: Placed, jobs: list[Job]) -> Iterator[Violation]:
    """An accepted order has its job, and only one, unless it was repeated after the first one failed."""
    order = placed.order
    if placed.job_id and placed.job_id not in [job.id for job in jobs]:
        yield Violation("lost", f"{placed.job_id} was accepted but does not exist")
    if any(job.state not in UNSUCCESSFUL for job in jobs[:-1]) or (len(jobs) > 1 and not order.is_native):
        yield Violation("charged", f"{order.kind} {order.tag} has {len(jobs)} jobs")
    for job in jobs:
        if job.ended and job.state not in ALLOWED_ENDS.get(order.kind, (State.SUCCEEDED,)):
            yield Violation("end", f"{job.id} {job.state}: {job.failure}")


def _batch_violations(placed: Placed, jobs: Iterable[Job], fleet: Fleet) -> Iterator[Violation]:
    """An accepted batch is there once, has ended, has one job of each source, and its callback counts them as they ended."""
    order = placed.order
    with fleet.core.database.read() as connection:
        rows = connection.execute(sa.select(BATCHES).where(BATCHES.c.callback_url == order.callback_url)).all()
        batches = [batch_store.batch_of(row) for row in rows]
        items = [item for batch in batches for item in batch_store.items(connection, batch.id)]
    if placed.job_id not in [None, *(batch.id for batch in batches)]:
        yield Violation("lost", f"{placed.job_id} was accepted but does not exist")
    if len(batches) > 1 or [item.spec.source_url for item in items] != list(order.batch_urls):
        yield Violation("charged", f"{order.kind} {order.tag} has {len(batches)} batches of {len(items)} sources")
    if doubled := [url for url, count in Counter(job.spec.source_url for job in jobs).items() if url in order.batch_urls and count > 1]:
        yield Violation("charged", f"several jobs of {doubled}")
    for batch in batches:
        states = Counter(item.state(batch) for item in items)
        yield from _end_violations(batch, states, order)


def _end_violations(batch: Batch, states: Counter[str], order: Order) -> Iterator[Violation]:
    """Check how a batch ended, and what its callbacks said: all the same, and the truth."""
    assert order.callback_path
    failing = sum(url.endswith("missing.mp4") for url in order.batch_urls)
    expected = {State.SUCCEEDED.value: batch.jobs - failing, State.FAILED.value: failing}
    if not batch.ended:
        yield Violation("lost", f"{batch.id} has not ended")
    if (batch.cancelled_ms is None and states != expected) or not states.keys() <= {*expected, State.CANCELLED.value}:
        yield Violation("end", f"{batch.id}: {dict(states)}")
    told = order.host.posts(order.callback_path)
    counts = [{name: count for name, count in body["data"]["counts"].items() if count} for body in told]
    if not told or any(body["data"]["id"] != batch.id for body in told) or any(count != states for count in counts):
        yield Violation("callback", f"{batch.id} ended with {dict(states)}, its callbacks said {counts}")


def _job_violations(job: Job, order: Order, fleet: Fleet) -> Iterator[Violation]:
    """Check the job's events, callback and result."""
    with fleet.core.database.read() as connection:
        states = [event.state for event in store.events(connection, job.id)]
    if len(states[1:]) != len(set(states[1:])) or states[-1:] != [job.state]:  # a fetched job is queued once more
        yield Violation("end", f"{job.id} went through {', '.join(states)}")
    if order.callback_path and not any(_reports_end(body, job) for body in order.host.posts(order.callback_path)):
        yield Violation("callback", f"{job.id} {job.state} was not delivered")
    if job.state is State.SUCCEEDED:
        assert job.result is not None
        answer = fleet.client.get(fleet.core.links.url(job.result.clean_key, LINK_SECONDS), follow_redirects=True)
        if answer.status_code != 200 or len(answer.content) != job.result.bytes:
            yield Violation("result", f"{job.id}: status {answer.status_code}, {len(answer.content)} of {job.result.bytes} bytes")


def _reports_end(body: dict[str, object], job: Job) -> bool:
    """Whether a callback reports the job's end, in its dialect."""
    data = body["data"]
    assert isinstance(data, dict)
    if job.facade == "kie":
        return data["taskId"] == job.id and body["code"] == (200 if job.state is State.SUCCEEDED else 501)
    return data["id"] == job.id and body["type"] == f"job.{job.state}"


def ledger_violations(core: Core, jobs: Iterable[Job]) -> Iterator[Violation]:
    """Each job has one reservation of its price, and one settlement or refund of it; each account's sums match its ledger lines."""
    with core.database.read() as connection:
        rows = ledger.lines(connection)
        accounts = connection.execute(sa.select(ACCOUNTS)).all()
    of_job: dict[str, list[Entry]] = defaultdict(list)
    of_account: dict[int, list[Entry]] = defaultdict(list)
    for row in rows:
        of_account[row.account_id].append(ledger.entry_of(row))
        if row.job_id:
            of_job[row.job_id].append(ledger.entry_of(row))
    for job in jobs:
        if not _is_paid_once(job, of_job.pop(job.id, [])):
            yield Violation("charged", f"the lines of {job.id}, {job.state}")
    refunded = _never_submitted(core)
    for job_id, entries in of_job.items():
        if job_id not in refunded or sum(entry.held_credits for entry in entries):
            yield Violation("charged", f"lines of {job_id}, which is not a job")
    for account in accounts:
        stored = Balance(account.paid_credits, account.one_time_credits, account.held_credits)
        if stored != balance_of(of_account[account.id]) or min(vars(stored).values()) < 0:
            yield Violation("charged", f"account {account.id} has {stored}, its lines add up to {balance_of(of_account[account.id])}")


def _never_submitted(core: Core) -> set[str]:
    """The jobs that cancelled batches never submitted: their credits were held, and came back."""
    left = sa.select(BATCH_ITEMS.c.job_id).join(BATCHES).where(BATCHES.c.cancelled_ms.is_not(None), sa.not_(BATCH_ITEMS.c.submitted))
    with core.database.read() as connection:
        return set(connection.execute(left).scalars())


def _is_paid_once(job: Job, entries: list[Entry]) -> bool:
    """Whether a job's lines are a reservation of its price and, once it has ended, one matching settlement or refund for each fund."""
    reserved = {entry.fund: entry.held_credits for entry in entries if entry.kind is Kind.RESERVE}
    end = Kind.SETTLE if job.charged else Kind.REFUND
    ended = {entry.fund: -entry.held_credits for entry in entries if entry.kind is end}
    twice = max(Counter((entry.kind, entry.fund) for entry in entries).values(), default=0) > 1
    complete = sum(reserved.values()) == job.price_credits and len(entries) == len(reserved) + len(ended)
    return bool(reserved) and complete and not twice and ended == (reserved if job.ended else {})


def file_violations(fleet: Fleet) -> list[Violation]:
    """Temporary files and processes that are not removed within `CLEAN_SECONDS`."""
    found: list[Violation] = []

    def none_left() -> bool:
        strays = [Violation("process", f"process {pid} remained") for pid in fleet.strays()]
        found[:] = [*(Violation("file", str(path.relative_to(fleet.folder))) for path in temporary_files(fleet.folder)), *strays]
        return not found

    within(CLEAN_SECONDS, none_left)
    return found


def upload_violations(core: Core) -> Iterator[Violation]:
    """Each account's sum is that of its uploads, finished or not, and each file below `uploads/` is of one of them."""
    unfinished = sa.select(TRANSFERS).where(TRANSFERS.c.key.is_(None))
    with core.database.read() as connection:
        sums = {row.id: row.upload_bytes for row in connection.execute(sa.select(ACCOUNTS))}
        uploads = connection.execute(sa.select(UPLOADS)).all()
        transfers = connection.execute(unfinished).all()
    counted: Counter[int] = Counter()
    for row in uploads:
        counted[row.account_id] += row.bytes
    for row in transfers:
        counted[row.account_id] += row.counted_bytes
    for account_id, bytes_ in sums.items():
        if bytes_ != counted[account_id]:
            yield Violation("upload", f"account {account_id} has {counted[account_id]} bytes, counted as {bytes_}")
    known, folders = {row.key for row in uploads}, {f"uploads/{row.account_id}/{row.id.removeprefix(PREFIX)}/" for row in transfers}
    for key in core.storage.list_under("uploads"):
        if key not in known and not any(key.startswith(folder) for folder in folders) and not STAGING.fullmatch(key.rpartition("/")[2]):
            yield Violation("upload", f"{key} is no upload")


def temporary_files(folder: Path) -> Iterator[Path]:
    """Files that an idle service must not have: in scratch folders, partial copies, an unfinished key, unknown files of jobs."""
    for own in (folder / "scratch").glob("*/"):
        yield from (path for path in own.iterdir() if path.name != "metrics")
    yield from folder.rglob("*.part")
    yield from (path for path in folder.glob("secret.*") if path.name != "secret.key")
    for path in folder.glob("files/jobs/*/*/*"):
        if path.stem not in KEPT and not STAGING.fullmatch(path.name):
            yield path


def age_staging_files(folder: Path) -> int:
    """Make unfinished writes two hours old, as they are swept after one hour; return their number."""
    files = [path for path in folder.glob("files/**/*") if STAGING.fullmatch(path.name)]
    for path in files:
        os.utime(path, (time.time() - STALE_SECONDS,) * 2)
    return len(files)


def dead_folders(fleet: Fleet) -> list[str]:
    """Scratch folders of processes that no longer run."""
    live = {str(pid) for part in fleet.parts if part.pid for pid in (part.pid, *fleet.live_workers())}
    names = [path.name for path in (fleet.folder / "scratch").iterdir()]
    return [name for name in names if name.split("+")[1] not in live]
