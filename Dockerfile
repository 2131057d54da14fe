# One recipe for every image of the house. Multi-stage: nothing that builds or downloads is left in what runs.
#
#   docker build --build-arg SERVICE=ingest -t regulars/ingest:0.1.0 .
#   docker build --build-arg SERVICE=regulars --build-arg VERB=migrate -t regulars/regulars:0.1.0 .   (the command)
#
# PIP_INDEX_URL names another package index than pip's own. Meant to run with a read-only root: it writes to /tmp alone.
ARG PYTHON=3.13.16-slim-trixie

# ---- every package of the lock, verified by its hash; and our own, built with what the lock has for that
FROM python:${PYTHON} AS wheels
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip download --quiet --require-hashes --only-binary :all: --dest /wheels --requirement requirements.lock
COPY . .
# /wheels holds one version of each package, the lock's: naming it again pins nothing more.
# hadolint ignore=DL3013
RUN pip install --quiet --no-cache-dir --no-index --find-links /wheels hatchling editables && \
    pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /wheels . ./libs/common ./services/*

# ---- of these only what the one service needs: pip finds that out, and there is one version of each to be found
FROM python:${PYTHON} AS installed
ARG SERVICE
COPY --from=wheels /wheels /wheels
# hadolint ignore=DL3013
RUN test -n "${SERVICE}" && package="regulars-${SERVICE}" && \
    python -m venv --without-pip /venv && \
    pip --python /venv/bin/python install --quiet --no-cache-dir --no-index --find-links /wheels "${package%-regulars}" && \
    /venv/bin/python -m compileall -q /venv/lib

# ---- what runs
FROM python:${PYTHON} AS runtime
ARG SERVICE
ARG VERB=serve
LABEL org.opencontainers.image.title="Regulars ${SERVICE}" \
      org.opencontainers.image.description="An event-driven CRM for online shops" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin regulars
COPY --from=installed /venv /venv
# SAFEPATH: the folder we happen to stand in is no place to import from.
ENV PATH=/venv/bin:$PATH HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 \
    SERVICE=${SERVICE} VERB=${VERB} \
    REGULARS_HOST=0.0.0.0 REGULARS_PORT=8000
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-IS", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['REGULARS_PORT'] + '/health/ready', timeout=4)"]
# exec: the service itself is told to stop, not a shell in front of it.
CMD ["sh", "-c", "exec python -m \"$SERVICE\" \"$VERB\""]
