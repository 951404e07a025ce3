"""What the CPU seconds of cleaning a file go into: which functions and processes of the program count for which activity."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from benchmarks.cpu_meter import CpuMeter, Spent, process_seconds
from models import spec
from models.spec import NetworkSpec
from service.inference import folder
from service.inference.batcher import Arrays, Batcher, Session
from service.inference.onnx_runtime import OnnxSession
from service.inference.session import Networks, find
from service.pipeline import run
from service.pipeline.picture import composite
from service.pipeline.remove.reference_alignment import ReferenceAligner
from service.pipeline.request import Request
from service.pipeline.sandbox.forker import FORKER
from service.pipeline.sandbox.sandbox import Child, Message


def profile(source: Path, target: Path) -> Spent:
    """Clean a file on the CPU; CPU seconds by step and activity.

    Each network runs in the one thread that calls it, so that its seconds are known. Wraps what it measures: for a process of its own.
    """
    meter = CpuMeter()
    for activity, owner, name in (
        ("colour", composite, "crop_rgb"),
        ("colour", composite, "shrink_rgb"),
        ("composite", composite, "paste_all"),
        ("alignment", ReferenceAligner, "references"),
    ):
        meter.count(activity, owner, name)
    children = _Children(meter)
    _count_steps(meter)
    networks = Networks(**{network.name: _counted(network, meter) for network in spec.NETWORKS}, versions={})
    with meter.step("other"):
        run.clean(source, target, Request(), networks)
        children.charge_rest()
    return meter.spent


def _counted(network: NetworkSpec, meter: CpuMeter) -> Batcher:
    weights = find(network, folder.in_use(None), "auto", "cpu")
    return Batcher(_Counted(OnnxSession(weights.path, network, "cpu", threads=1), meter, network.name))


class _Counted(Session):
    """A network whose runs are counted by its name."""

    def __init__(self, session: Session, meter: CpuMeter, name: str) -> None:
        self._run = meter.counted(name, session.run)

    def run(self, inputs: Arrays) -> Arrays:
        answers: Arrays = self._run(inputs)
        return answers


class _Children:
    """Counts the processes of decoders and encoders. A process that is gone says nothing, so each is asked whenever it sends a message."""

    def __init__(self, meter: CpuMeter) -> None:
        self._meter = meter
        self._known: dict[int, float] = {}  # CPU seconds by process
        self._counted = 0.0
        receive, leave = Child.receive, Child.__exit__

        def counted_receive(child: Child) -> Message:
            message = receive(child)
            self._ask(child)
            return message

        def counted_leave(child: Child, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
            self._ask(child)
            self._charge(child._work, self._known.pop(child.process_id))
            leave(child, kind, error, trace)

        Child.receive = counted_receive  # type: ignore[method-assign]
        Child.__exit__ = counted_leave  # type: ignore[method-assign]

    def charge_rest(self) -> None:
        """Count the forker, and what its children did after their last message."""
        if FORKER.process_id is not None:
            self._charge("forker", process_seconds(FORKER.process_id) - self._counted)

    def _ask(self, child: Child) -> None:
        self._known[child.process_id] = max(self._known.get(child.process_id, 0.0), process_seconds(child.process_id))

    def _charge(self, work: str, seconds: float) -> None:
        self._meter.charge(work, seconds)
        self._counted += seconds


def _count_steps(meter: CpuMeter) -> None:
    timed = run._Job.step

    @contextmanager
    def counted(job: run._Job, name: str) -> Iterator[None]:
        with meter.step(name), timed(job, name):
            yield

    run._Job.step = counted  # type: ignore[method-assign,assignment]
