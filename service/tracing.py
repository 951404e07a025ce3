"""Traces: in which requests, jobs and steps the time went. Off, and nothing imported, unless `OTEL_*` variables name an exporter.

A trace is known by a `traceparent`, as in W3C Trace Context. Without an exporter the one that a request brought is still passed on, as it
is: to the job's logs, its fetches and its callback.
"""

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from service.errors import SettingsError
from service.logs import log_fields
from service.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

HEADER: Final = "traceparent"
TRACEPARENT: Final = re.compile(r"(?!ff|00-.{52}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.ASCII)
LENGTH: Final = 55  # of its first version; a later one may say more, which this program would not understand
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL: Final = "http/protobuf"
FLUSH_SECONDS: Final = 3.0  # for what was not sent yet when a process ends; a collector that is down must not hold it

Kind = Literal["internal", "server", "client"]
Value = str | int | float | bool
NOTHING: Final[Mapping[str, Value]] = MappingProxyType({})

_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_provider: "TracerProvider | None" = None


class Measured:
    """The span of a block; what is said of it is dropped while tracing is off."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def say(self, attributes: Mapping[str, Value], name: str | None = None) -> None:
        """Add attributes, and name the span by what is known only now."""
        if self._span is not None:
            self._span.set_attributes(attributes)
            if name is not None:
                self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """Mark the span as failed, with the kind of error; its message may hold what is not for a collector."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR))


OFF: Final = Measured()


def is_on(variables: Mapping[str, str]) -> bool:
    """Whether these variables name an exporter. Raises SettingsError for one that this program does not have."""
    exporter = variables.get("OTEL_TRACES_EXPORTER") or ("otlp" if any(variables.get(name) for name in ENDPOINTS) else "none")
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    if exporter != "otlp":
        raise SettingsError(f"OTEL_TRACES_EXPORTER: {exporter} is not supported, only otlp and none")
    for name in PROTOCOLS:
        if variables.get(name, PROTOCOL) not in ("", PROTOCOL):
            raise SettingsError(f"{name}: {variables[name]} is not supported, only {PROTOCOL}")
    return True


def start(process: str) -> None:
    """Send the spans of this process, such as `api`, to the exporter that the environment names, if any.

    Raises SettingsError where that cannot be done.
    """
    global _provider
    if not is_on(os.environ):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        raise SettingsError("OTEL_* variables ask for traces, which need packages that are not installed: cleanplate[tracing]") from None
    ours = Resource({SERVICE_NAME: "cleanplate", SERVICE_VERSION: VERSION, "cleanplate.process": process})
    _provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


def stop() -> None:
    """Send what was not sent yet, for a few seconds at most: the library's own limit of time is not kept."""
    if _provider is not None:
        flushing = threading.Thread(target=_provider.force_flush, daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)


def parsed(header: str | None) -> str | None:
    """The trace that a header names; None if it names none, or not as the standard has it."""
    return header[:LENGTH] if header and TRACEPARENT.fullmatch(header) else None


def traceparent() -> str | None:
    """The trace of what runs now; None outside of one."""
    return _current.get()


def headers() -> dict[str, str]:
    """What tells another host which trace a request belongs to."""
    current = _current.get()
    return {HEADER: current} if current else {}


@contextmanager
def span(name: str, parent: str | None = None, kind: Kind = "internal", attributes: Mapping[str, Value] = NOTHING) -> Iterator[Measured]:
    """Measure the block as a part of the trace: of what runs now, or of `parent`, which another process began."""
    if _provider is None:
        with _part_of(parent or _current.get()):
            yield OFF
        return
    with _started(_provider, name, parent, kind, attributes) as (started, current), _part_of(current):
        measured = Measured(started)
        try:
            yield measured
        except BaseException as error:
            measured.fail(type(error).__name__)
            raise


@contextmanager
def _started(
    provider: "TracerProvider", name: str, parent: str | None, kind: Kind, attributes: Mapping[str, Value]
) -> Iterator[tuple["Span", str]]:
    """The block's span, and its traceparent."""
    from opentelemetry.trace import SpanKind

    tracer = provider.get_tracer("cleanplate", VERSION)
    context = _context_of(parent, is_remote=True) if parent else _context_of(_current.get(), is_remote=False)
    started = tracer.start_span(name, context, SpanKind[kind.upper()], attributes)
    own = started.get_span_context()
    try:
        yield started, f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
    finally:
        started.end()


def _context_of(traceparent: str | None, *, is_remote: bool) -> "Context":
    """What OpenTelemetry calls the parent of a span: nothing but these ids."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if traceparent is None:
        return Context()
    _, trace_id, span_id, flags = traceparent.split("-")
    ids = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(ids), Context())


@contextmanager
def _part_of(traceparent: str | None) -> Iterator[None]:
    """A block that is part of this trace: in its logs too."""
    if traceparent is None:
        yield
        return
    token = _current.set(traceparent)
    try:
        with log_fields(trace_id=traceparent.split("-")[1]):
            yield
    finally:
        _current.reset(token)
