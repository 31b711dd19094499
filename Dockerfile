# Builds the image of one project: docker build --build-arg PROJECT=web --tag web .
# By default, Docker builds the last stage, `production`. The stage `development` is for Tilt, whose live update
# replaces the code in the running container.

# The release workflow replaces this tag with the digest in .github/base-images/Dockerfile.
ARG PYTHON=python:3.13-slim-trixie
# The settings do not load without these variables, but the commands in this file do not use their values.
ARG PLACEHOLDERS="SECRET_KEY=x TOKENS_KEYS=/x TOKENS_JWKS=/x THOUGHTS_BACKEND_URL=http://x USER_BACKEND_URL=http://x DATABASE_URL=postgres://x/x"

FROM ${PYTHON} AS base
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

FROM base AS dependencies
ARG PROJECT
# The packages for traces and error tracking. `--build-arg TELEMETRY=no` leaves them out.
ARG TELEMETRY=yes
COPY ${PROJECT}/requirements.txt common/requirements-telemetry.txt ./
# The `find` commands remove unused files, which would make up a third of the image: all translations except English,
# and Redoc, because the APIs use Swagger UI instead.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /venv \
    && pip --python /venv install --require-hashes -r requirements.txt $([ "$TELEMETRY" = no ] || echo -r requirements-telemetry.txt) \
    && find /venv -path '*/locale/*/LC_MESSAGES' -not -path '*/locale/en/*' -prune -exec rm -r {} + \
    && find /venv -path '*/drf_spectacular_sidecar/redoc' -prune -exec rm -r {} +

FROM dependencies AS static
ARG PROJECT
ARG PLACEHOLDERS
COPY common common
COPY ${PROJECT} ${PROJECT}
# The source maps are deleted, because they make up half of Swagger UI, and browsers use them only for debugging.
RUN env ${PLACEHOLDERS} STATIC_ROOT=/static python ${PROJECT}/manage.py collectstatic --no-input --verbosity=0 \
    && find /static -name '*.map*' -delete

# This stage removes the static files from the packages, because /static contains copies of them.
FROM dependencies AS lean
RUN find /venv -path '*/site-packages/*/static' -prune -exec rm -r {} +

# These GLIBC_TUNABLES save memory. All threads share one malloc arena. malloc returns freed blocks of 4 MiB or more to
# the kernel, such as the 19 MiB of a password hash. malloc uses huge pages if the system allows them, because the
# kernel clears huge pages faster. https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
FROM base AS runtime
ARG PROJECT
ENV PROJECT=${PROJECT} \
    GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=4194304:glibc.malloc.trim_threshold=4194304:glibc.malloc.hugetlb=1 \
    DJANGO_SETTINGS_MODULE=${PROJECT}.settings \
    METRICS_DIR=/tmp/metrics \
    MANAGEMENT_PORT=9000 \
    LOG_FORMAT=json \
    STATIC_ROOT=/static
USER 10001:10001
EXPOSE 8000 9000
CMD exec gunicorn -c python:common.server.gunicorn_conf ${PROJECT}.wsgi

FROM runtime AS development
ARG PROJECT
COPY --from=dependencies /venv /venv
COPY --from=static /static /static
# Developers read the logs in the Tilt dashboard, whose buttons simulate faults.
ENV RELOAD=true LOG_FORMAT=text FAULTS=true
COPY --chown=10001:10001 common common
COPY --chown=10001:10001 ${PROJECT} ${PROJECT}
# Compiled bytecode makes reloads faster. Python detects a changed source file by its hash, not by its modification
# time, because two edits may happen within the same second.
ENV PYTHONDONTWRITEBYTECODE=
RUN python -m compileall -q --invalidation-mode=checked-hash common ${PROJECT}
# The container applies migrations before it starts gunicorn. Live updates also apply migrations, but none runs when Tilt
# builds a new image, for example after a change to the lock file.
CMD test ! -d ${PROJECT}/migrations || python ${PROJECT}/manage.py migrate --no-input; \
    exec gunicorn -c python:common.server.gunicorn_conf ${PROJECT}.wsgi

FROM runtime AS production
ARG PROJECT
COPY --from=lean /venv /venv
COPY --from=static /static /static
# The container's user must be able to read the code, whatever the umask was when the repository was cloned.
COPY --chmod=755 common common
COPY --chmod=755 ${PROJECT} ${PROJECT}
# Store the bytecode of the service, and of the modules of Python that the service imports. Otherwise each process would
# compile these modules at startup, which takes time and 5 MB of memory.
ARG PLACEHOLDERS
USER 0
RUN python -m compileall -q common ${PROJECT} \
    && env ${PLACEHOLDERS} PYTHONDONTWRITEBYTECODE= python ${PROJECT}/manage.py check
USER 10001:10001
ARG VERSION=dev
ARG COMMIT=unknown
ENV VERSION=${VERSION} COMMIT=${COMMIT}
LABEL org.opencontainers.image.title=${PROJECT} \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${COMMIT} \
      org.opencontainers.image.licenses=MIT
