# syntax=docker/dockerfile:1
# gatekeeper in a container: one wheel built in the first stage, nothing but Python and that wheel in the second.
#
#   docker build -t gatekeeper .
#   docker run -p 8080:8080 -v ./gatekeeper.yaml:/etc/gatekeeper/gatekeeper.yaml:ro -v gatekeeper:/var/lib/gatekeeper gatekeeper
#   docker exec CONTAINER gatekeeper status

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# The traffic path is compiled (README.md); --build-arg GATEKEEPER_COMPILE=0 leaves it Python. The compiler stays here.
ARG GATEKEEPER_COMPILE=1
RUN if [ "$GATEKEEPER_COMPILE" = 1 ]; then \
      apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY gatekeeper ./gatekeeper
# First wheels (gatekeeper's own and what it depends on), then an environment made of nothing else; pip stays behind.
RUN pip wheel --no-cache-dir --disable-pip-version-check --wheel-dir /wheels . \
 && python -m venv --without-pip /opt/gatekeeper \
 && pip --python /opt/gatekeeper/bin/python install --no-cache-dir --no-index --find-links /wheels gatekeeper

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin gatekeeper \
 && install -d -o gatekeeper -g gatekeeper -m 0750 /var/lib/gatekeeper /run/gatekeeper \
 && install -d /etc/gatekeeper
COPY --from=build /opt/gatekeeper /opt/gatekeeper
ENV PATH=/opt/gatekeeper/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# By number, so that an orchestrator can check "runs as non-root" without reading the image's passwd.
USER 10001:10001
VOLUME ["/var/lib/gatekeeper"]
EXPOSE 8080

# Asked over the admin socket: ready means that every worker routes by the current revision. GATEKEEPER_SOCKET must be
# set if the file names another socket than the default.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect(os.environ.get('GATEKEEPER_SOCKET', '/run/gatekeeper/admin.sock')); s.sendall(b'GET /readyz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(64))"]

# SIGTERM drains and stops within `timeouts.drain`: give the container at least that long (docker run --stop-timeout 35).
STOPSIGNAL SIGTERM
# Exec form: the supervisor is PID 1 and gets the signals; it reaps its workers itself. SIGUSR2 (upgrade in place) is
# refused for PID 1, whose end is the container's: replace the container.
ENTRYPOINT ["gatekeeper"]
CMD ["serve", "--config", "/etc/gatekeeper/gatekeeper.yaml"]
