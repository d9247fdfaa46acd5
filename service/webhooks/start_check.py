"""The check at start that WEBHOOK_KEYS is set if webhook endpoints exist."""

import logging

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from service.config.settings import Settings
from service.database import db
from service.queries import webhook_secrets

_log = logging.getLogger(__name__)


def warn_without_keys(app: Flask) -> None:
    """Warn if the key of the signing secrets is in the same database as the secrets."""
    settings: Settings = app.extensions["waybill"].settings
    if settings.webhook_keys:
        return
    with app.app_context():
        try:
            if webhook_secrets.any_endpoint():
                _log.warning(
                    "WEBHOOK_KEYS is not set: a copy of the database is enough to forge webhooks. "
                    "Set it, then run: flask --app service.app webhooks rotate-keys"
                )
        except SQLAlchemyError as error:
            _log.warning("cannot check for webhook endpoints (%s)", type(error).__name__)
        finally:
            db.session.remove()
            db.engine.dispose()  # the server may fork after this
