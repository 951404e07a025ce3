"""Attacks the service as strangers and accounts without credits may, and measures what others notice of it.

    python -m benchmarks.hostile                                   # every attack, 50 connections each
    python -m benchmarks.hostile --only "path;kaze" --seconds 5
    python -m benchmarks.hostile --parallel 1                      # single requests

Each attack has a new service, measured idle first. All the while /healthz and another account's reads are requested on new connections.
Appends a line per attack to results/hostile.jsonl.
"""

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks import results
from benchmarks.admin_attacks import ADMIN_ATTACKS
from benchmarks.attacks import ATTACKS, UPLOAD_BYTES, Attack, Target, get
from benchmarks.fleet import PAUSE_SECONDS, SETTINGS, Part, free_port, within
from benchmarks.hostile_accounts import operator, poor_customer
from benchmarks.hostile_sources import dripping_host
from benchmarks.latency import process_seconds
from benchmarks.machine import RESULTS, stamp
from benchmarks.memory import process_bytes
from benchmarks.orders import Customer
from benchmarks.upload_attacks import UPLOAD_ATTACKS
from benchmarks.wire import HOST, connected
from service.core import opened
from service.settings import PREFIX, Settings

ALL = (*ATTACKS, *UPLOAD_ATTACKS, *ADMIN_ATTACKS)
READY_SECONDS = 300.0
ANSWER_SECONDS = 60.0  # how long an attacker waits for an answer; one that takes longer counts as none
PROBES_PER_SECOND = 20
NICE = 10  # attackers are on other machines in life; here they must not win the processor
SETTLE_SECONDS = 1.0
ATTENTION_BYTES = 65536


@dataclass(frozen=True)
class Probe:
    """What somebody else notices: latencies in milliseconds of /healthz and of reads with a key; `failed`: no answer or not status 200."""

    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    most_ms: float


@dataclass(frozen=True)
class Damage:
    """An attack's effect, beside the idle service. Memory is that of the process that is attacked, in bytes; answers are counted by status.

    `attacked` and `p99_ratio` are of requests on new connections, `attacked_kept` of those on kept ones, as a proxy has them.
    """

    idle: Probe
    attacked: Probe
    attacked_kept: Probe
    p99_ratio: float
    idle_bytes: int
    peak_bytes: int
    api_cores: float
    connections: int
    answers: dict[str, int]
    slowest_answer_seconds: float


@dataclass(frozen=True)
class Service:
    """A running API process, the tools for agents before it, and what is in its database."""

    part: Part
    mcp: Part
    target: Target
    reader_key: str


def main(
    only: Annotated[str, typer.Option(help="Parts of the names of attacks, separated by semicolons.")] = "",
    parallel: Annotated[int, typer.Option(min=1, help="Connections at once.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of each attack.")] = 8,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "hostile.jsonl",
) -> None:
    """Run the attacks one after the other."""
    wanted = [word.strip() for word in only.split(";")]
    for attack in ALL:
        if any(word in attack.name for word in wanted):
            stamped = stamp()
            with service(with_mcp=attack.mcp) as attacked:
                damage = measure(attacked, attack, parallel, seconds)
            results.append(path, {"attack": attack.name, "parallel": parallel, "seconds": seconds}, asdict(damage), stamped)
            print(describe(attack.name, damage), flush=True)


def describe(name: str, damage: Damage) -> str:
    """One line of text."""
    answers = " ".join(f"{status}:{count}" for status, count in sorted(damage.answers.items()))
    return (
        f"{name:30} p99 {damage.attacked.p99_ms:8.1f} ms (idle {damage.idle.p99_ms:.1f}), most {damage.attacked.most_ms:8.1f}, "
        f"kept {damage.attacked_kept.p99_ms:.1f}, "
        f"failed {damage.attacked.failed}/{damage.attacked.requests}, peak {damage.peak_bytes / 2**20:6.0f} MiB, "
        f"{damage.api_cores:.2f} cores, slowest {damage.slowest_answer_seconds:.2f} s, {answers}"
    )


@contextmanager
def service(*, with_mcp: bool = False) -> Iterator[Service]:
    """An API process without a worker, perhaps tools for agents, an account with no credits but a waiting job, and one that only reads."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name, dripping_host() as drips:
        folder, port = Path(name), free_port()
        values = SETTINGS | {"data_dir": str(folder / "data"), "port": str(port), "log_format": "json"}
        with opened(Settings.model_validate(values)) as core:
            drip_url = f"{drips.url}/clip.mp4"
            key, job_id = poor_customer(core, drip_url)
            upload = core.transfers.begin(core.accounts.find("poor").id, "a.mp4", "a.mp4", UPLOAD_BYTES)
            target = Target(port, key, job_id, drip_url, operator(core), mcp_port := free_port(), upload.id)
            reader = Customer.new(core, "reader", 10)
        part = Part("serve --no-worker", folder / "api.log")
        mcp = Part(f"mcp --transport http --port {mcp_port} --url http://{HOST}:{port}", folder / "mcp.log")
        variables = {PREFIX + setting.upper(): value for setting, value in values.items()}
        try:
            for each, its_port in ((part, port), (mcp, mcp_port))[: 1 + with_mcp]:
                each.start(variables)
                if not within(READY_SECONDS, lambda its_port=its_port: asyncio.run(_answers(its_port)), PAUSE_SECONDS):
                    raise RuntimeError(f"{each.command} is not ready: {each.log.read_text()[-300:]}")
            yield Service(part, mcp, target, reader.key)
        finally:
            for process in (each.process for each in (part, mcp) if each.process):
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Exchange:
    """A connection's end: the status of its answer, or `closed` or `none`; and seconds from its first byte."""

    status: str
    seconds: float


@dataclass
class Probed:
    """The probes' exchanges, and the API process's highest memory meanwhile."""

    exchanges: list[Exchange]
    kept: list[Exchange] = field(default_factory=list)
    peak_bytes: int = 0

    def summary(self) -> Probe:
        latencies_ms = [1000 * exchange.seconds for exchange in self.exchanges]
        p50, p99 = (round(float(value), 1) for value in np.percentile(latencies_ms, (50, 99)))
        failed = sum(exchange.status != "200" for exchange in self.exchanges)
        return Probe(len(self.exchanges), failed, p50, p99, round(max(latencies_ms), 1))


def measure(attacked: Service, attack: Attack, parallel: int, seconds: float) -> Damage:
    """Measure the service idle, then under the attack."""
    pid = (attacked.mcp if attack.mcp else attacked.part).pid
    assert pid is not None
    idle = asyncio.run(_probe(attacked, pid, seconds / 2)).summary()
    idle_bytes, cpu_before, began = process_bytes(pid), process_seconds(pid), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(1, os.nice, (NICE,)) as pool:
        attackers = pool.apply_async(run_attack, (attack.name, attacked.target, parallel, seconds))
        probed = asyncio.run(_probe(attacked, pid, seconds + SETTLE_SECONDS))
        cores = (process_seconds(pid) - cpu_before) / (time.monotonic() - began)
        exchanges = attackers.get(ANSWER_SECONDS + seconds)
    under = probed.summary()
    return Damage(
        idle=idle,
        attacked=under,
        attacked_kept=Probed(probed.kept).summary(),
        p99_ratio=round(under.p99_ms / idle.p99_ms, 2),
        idle_bytes=idle_bytes,
        peak_bytes=probed.peak_bytes,
        api_cores=round(cores, 2),
        connections=len(exchanges),
        answers=dict(Counter(exchange.status for exchange in exchanges)),
        slowest_answer_seconds=round(max((exchange.seconds for exchange in exchanges if exchange.status.isdecimal()), default=0.0), 2),
    )


def run_attack(name: str, target: Target, parallel: int, seconds: float) -> list[Exchange]:
    """Send an attack on so many connections at once, each again as soon as it has ended, for `seconds`."""
    attack = next(attack for attack in ALL if attack.name == name)

    async def attackers() -> list[Exchange]:
        end = time.monotonic() + seconds
        lists = await asyncio.gather(*(_attacker(attack, target, end) for _ in range(parallel)))
        return [exchange for exchanges in lists for exchange in exchanges]

    return asyncio.run(attackers())


async def _attacker(attack: Attack, target: Target, end: float) -> list[Exchange]:
    exchanges = []
    while (left := end - time.monotonic()) > 0:
        patience = left if attack.hold or attack.pause_seconds else ANSWER_SECONDS
        exchanges.append(
            await _exchange(
                target.mcp_port if attack.mcp else target.port, attack.parts(target), attack.pause_seconds, patience, hold=attack.hold
            )
        )
        if exchanges[-1].status == "closed" and exchanges[-1].seconds < PAUSE_SECONDS:
            await asyncio.sleep(PAUSE_SECONDS)  # refused at the door: knocking as fast as one can measures this process
    return exchanges


async def _probe(attacked: Service, pid: int, seconds: float) -> Probed:
    """Request /healthz and reads with a key, in turn, at a fixed rate and without waiting for answers; sample the memory.

    Each is requested on a new connection, and as often on kept ones, there with waiting.
    """
    bearer = f"Authorization: Bearer {attacked.reader_key}"
    requests = (list(get("/healthz")), list(get("/v1/account", bearer)), list(get("/v1/jobs", bearer)))
    probed, sent, began = Probed([]), [], time.monotonic()
    keepers = [asyncio.create_task(_keep(attacked.target.port, b"".join(request), probed.kept)) for request in requests]
    for number in range(round(seconds * PROBES_PER_SECOND)):
        await asyncio.sleep(began + number / PROBES_PER_SECOND - time.monotonic())
        sent.append(asyncio.create_task(_exchange(attacked.target.port, iter(requests[number % 3]))))
        probed.peak_bytes = max(probed.peak_bytes, process_bytes(pid))
    probed.exchanges += await asyncio.gather(*sent)
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)
    return probed


async def _keep(port: int, request: bytes, exchanges: list[Exchange]) -> None:
    """Send the request on one connection again and again, until cancelled."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            async with connected(port) as connection:
                while True:
                    began = time.monotonic()
                    answer = await connection.send(request)
                    exchanges.append(Exchange(str(answer.status), time.monotonic() - began))
                    await asyncio.sleep(3 / PROBES_PER_SECOND)


async def _exchange(
    port: int, parts: Iterator[bytes], pause_seconds: float = 0.0, patience: float = ANSWER_SECONDS, *, hold: bool = False
) -> Exchange:
    """Send the parts on a new connection until it is answered or closed. With `hold`, listen on until `patience` seconds have passed."""
    began, status = time.monotonic(), "closed"
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(HOST, port)
        sending = asyncio.create_task(_send(writer, parts, pause_seconds))
        try:
            async with asyncio.timeout(patience):
                status = (await reader.readline())[9:12].decode(errors="replace") or "closed"
                answered = time.monotonic()
                while hold and await reader.read(ATTENTION_BYTES):
                    pass
        except TimeoutError:
            status = "none" if status == "closed" else status
        finally:
            sending.cancel()
            writer.transport.abort()
    return Exchange(status, (answered if status.isdecimal() else time.monotonic()) - began)


async def _send(writer: asyncio.StreamWriter, parts: Iterator[bytes], pause_seconds: float) -> None:
    with suppress(OSError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause_seconds:
                await asyncio.sleep(pause_seconds)


async def _answers(port: int) -> bool:
    return (await _exchange(port, get("/healthz"))).status.isdecimal()


if __name__ == "__main__":
    typer.run(main)
