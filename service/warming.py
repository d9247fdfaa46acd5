"""Does once, before anybody waits for it, what takes a process longer the first time."""

import multiprocessing
import threading
from contextlib import suppress
from typing import Final

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from service.operations.overview import read_overview

WARMING: Final = "warming"  # the thread that does


def warm_up(app: Flask) -> None:
    """Compile the templates and, in a web process, take a look at everything that nobody sees.

    The first look of a process has a connection to make and a dozen statements to compile: twice
    the time of any other. What merely imports the application, such as a command, takes none.
    """
    for template in app.jinja_env.list_templates():
        app.jinja_env.get_template(template)
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_look, args=(app,), name=WARMING, daemon=True).start()


def _look(app: Flask) -> None:
    # A database that is away, or not migrated yet, is what /readyz is for.
    with app.app_context(), suppress(SQLAlchemyError):
        read_overview()
