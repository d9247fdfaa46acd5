"""The check at start that `OPS_SECRET` is set if operators exist."""

import logging
import os

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from service.config.settings import SESSIONS_NEED_A_KEY, ConfigurationError, Settings
from service.database import db
from service.queries import operators

_log = logging.getLogger(__name__)


def require_secret(app: Flask) -> None:
    """Raise ConfigurationError in a web server that has operators and no `OPS_SECRET`.

    Commands start without it: one of them revokes keys. If the database does not answer now, or the
    first operator is created later, the pages answer 503 and ask for the secret.
    """
    settings: Settings = app.extensions["waybill"].settings
    if settings.ops_secret is not None or os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        return
    if _has_operators(app):
        raise ConfigurationError(
            f"the settings are unusable (see .env.example):\n  OPS_SECRET: {SESSIONS_NEED_A_KEY}"
        )


def _has_operators(app: Flask) -> bool:
    with app.app_context():
        try:
            return operators.any_live()
        except SQLAlchemyError as error:
            _log.warning("cannot check for operators without OPS_SECRET (%s)", type(error).__name__)
            return False
        finally:
            db.session.remove()
            db.engine.dispose()  # the server may fork after this
