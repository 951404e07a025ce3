# The service and the command. RUNTIME is where the networks run: `cpu`, or `cuda` for an NVIDIA GPU: CUDA and cuDNN then come with the
# locked packages, the driver with the host, and without a GPU it starts too, on the CPU. `make image` adds the version to tags and labels;
# compose.yaml runs it as a fleet.
#   docker build -t cleanplate:cpu .
#   docker build --build-arg RUNTIME=cuda -t cleanplate:cuda .
#   docker run --rm --init --stop-timeout 30 -p 8000:8000 -e CLEANPLATE_PUBLIC_URL=http://localhost:8000 -v cleanplate:/data cleanplate:cpu
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/media" -w /media cleanplate:cuda clean marked.mp4 -o clean/
FROM python:3.11-slim-bookworm AS build
ARG RUNTIME=cpu
RUN python -m venv /opt/cleanplate
WORKDIR /src
COPY requirements/serve-${RUNTIME}.lock requirements/
RUN /opt/cleanplate/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement requirements/serve-${RUNTIME}.lock
COPY pyproject.toml hatch_build.py LICENSE ./
COPY docs/package.md docs/
COPY cleanplate cleanplate
COPY service service
COPY models models
RUN /opt/cleanplate/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/cleanplate/bin/pip install --no-cache-dir --no-deps --no-index dist/*.whl
COPY deploy/sbom.py ./
RUN /opt/cleanplate/bin/python sbom.py >/opt/cleanplate/sbom.cdx.json

FROM python:3.11-slim-bookworm
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Cleanplate" \
    org.opencontainers.image.description="Removes visible watermarks, logos and burned-in text from videos and images" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 cleanplate \
    && useradd --uid 10001 --gid cleanplate --no-create-home --home-dir /data --shell /usr/sbin/nologin cleanplate \
    && install --directory --owner cleanplate --group cleanplate --mode 0700 /data
COPY --from=build /opt/cleanplate /opt/cleanplate
ENV PATH=/opt/cleanplate/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CLEANPLATE_HOST=0.0.0.0 \
    CLEANPLATE_PORT=8000 \
    CLEANPLATE_DATA_DIR=/data \
    CLEANPLATE_DEVICE=auto \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; \
        api = http.client.HTTPConnection('127.0.0.1', int(os.environ['CLEANPLATE_PORT']), timeout=4); \
        api.request('GET', '/healthz'); \
        sys.exit(api.getresponse().status != 200)"]
ENTRYPOINT ["cleanplate"]
CMD ["serve"]
