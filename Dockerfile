# syntax=docker/dockerfile:1
# One image for every role: `docker build --build-arg EXTRA=cpu .` (or gpu); `run ROLE` starts one.

FROM python:3.11.16-slim-trixie AS build
ARG EXTRA=cpu
RUN python -m venv /opt/ictus
ENV PATH=/opt/ictus/bin:$PATH
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY adapters adapters
COPY commands commands
COPY domain domain
COPY ictus ictus
COPY projections projections
COPY training training
COPY workers workers
RUN --mount=type=cache,target=/root/.cache/pip pip install ".[${EXTRA}]"

FROM python:3.11.16-slim-trixie
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="ictus" \
      org.opencontainers.image.description="Evidence on the cause of ischaemic stroke. Research prototype, not a medical device." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# A new volume takes over the owner of the folder it is mounted on.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin ictus \
    && install --directory --owner=ictus --group=ictus --mode=0700 /data /data/objects \
        /data/dataset /data/models /data/witness /keys /nkeys
COPY --from=build /opt/ictus /opt/ictus
ENV PATH=/opt/ictus/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["ictus"]
CMD ["--help"]
