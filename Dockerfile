# One image for all processes of Waybill; docker-compose.yml sets the command of each.

FROM python:3.12-slim AS packages

COPY requirements.txt .
# Install wheels only, so that the build needs no compiler.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --only-binary=:all: -r requirements.txt


FROM python:3.12-slim

ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN useradd --system --no-create-home --uid 10001 waybill
WORKDIR /app

COPY --from=packages /venv /venv
COPY .flaskenv wsgi.py ./
COPY migrations migrations
COPY service service
COPY worker worker

# Root owns the code, so the process cannot change it.
USER waybill
EXPOSE 8000

CMD ["granian", "--interface", "wsgi", "wsgi:app", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "4"]
