#!/usr/bin/env bash
# opentelemetry-sdk 1.45.2: `force_flush(timeout_millis)` of a provider with a BatchSpanProcessor does not keep its timeout. It exports all that is
# queued in the calling thread, each batch with the exporter's own timeout and retries; a collector that accepts and never answers holds the
# caller for OTEL_EXPORTER_OTLP_TIMEOUT, not for the time that it asked for. Flush in a daemon thread and wait for that: service/tracing.py does.
# Seen: a flush with 500 ms takes as long as the exporter's 4 s.
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2 2>/dev/null
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import os
import socket
import sys
import time
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

logging.disable(logging.CRITICAL)
silent = socket.create_server(("127.0.0.1", 0))  # connections wait in its backlog, and nothing is answered
exporter = OTLPSpanExporter(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces", timeout=4)
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=60_000))
with provider.get_tracer("finding").start_as_current_span("work"):
    pass
began = time.monotonic()
provider.force_flush(500)
seconds = time.monotonic() - began
print("opentelemetry-sdk", version("opentelemetry-sdk"))
print(f"force_flush(500) took {seconds:.1f} s")
sys.stdout.flush()
os._exit(0 if seconds > 2 else 1)
PYTHON
