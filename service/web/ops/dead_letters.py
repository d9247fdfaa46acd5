"""The page of dead letters: callbacks that could not be recorded, with the reason."""

from typing import Final

from flask import render_template

from service.database.replica import from_replica
from service.queries import callbacks
from service.web.ops.blueprint import blueprint

_PAGE: Final = 50


@blueprint.get("/dead-letters")
@from_replica()
def dead_letters() -> str:
    """List the oldest dead letters."""
    return render_template("ops/dead_letters.html", dead_letters=callbacks.dead_letters(_PAGE))
