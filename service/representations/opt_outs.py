"""Turn opt-outs into the JSON of the API."""

from collections.abc import Sequence

from service.models import OptOut
from service.representations import opt_out_types as types
from service.representations.messages import time_text


def opt_outs(rows: Sequence[OptOut]) -> list[types.OptOut]:
    """Return active opt-outs."""
    return [
        {
            "number": row.to,
            "sender": row.sender,
            "provider": row.provider,
            "since": time_text(row.since),
            "reason": row.reason,
            "changed_by": row.changed_by,
            "error_code": row.error_code,
        }
        for row in rows
    ]
