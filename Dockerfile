# Strop: dashboard, API, worker and commands; the CPU builds of the locked packages.
#   docker build -t strop .
#   docker compose up            API, worker and PostgreSQL
FROM python:3.11-slim

RUN useradd --create-home --uid 10001 strop
WORKDIR /opt/strop
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --no-deps -r requirements.lock
COPY backend backend
COPY dashboard dashboard
COPY evaluators evaluators
COPY training training
COPY migrations migrations
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && mkdir /data && chown strop /data

USER strop
WORKDIR /data
ENV STROP_HOME=/data
VOLUME /data
EXPOSE 8500
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8500/api/healthz', timeout=4)"]
ENTRYPOINT ["strop"]
CMD ["up", "--no-worker"]
