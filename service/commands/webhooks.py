"""Rotate the keys that encrypt the signing secrets of webhook endpoints."""

import click
from flask.cli import AppGroup

from service.components import components
from service.webhooks import rotate_keys as rotation

group = AppGroup("webhooks", help="Manage the keys of webhook endpoints.")


@group.command("rotate-keys")
def rotate_keys() -> None:
    """Encrypt all signing secrets under the first of WEBHOOK_KEYS.

    Put a new key first, restart all processes, run this command, then remove the old key. The
    command can be interrupted and run again. The secrets themselves stay the same.
    """
    if not components().settings.webhook_keys:
        raise click.ClickException("WEBHOOK_KEYS is not set; set it to the new key, then the old")
    result = rotation.rotate_keys()
    click.echo(f"encrypted the secrets of {result.rotated} of {result.endpoints} endpoints again")
    for endpoint_id in result.unreadable:
        click.echo(f"no key fits: {endpoint_id}", err=True)
    if result.unreadable:
        raise click.ClickException(
            f"the secrets of {len(result.unreadable)} endpoints cannot be decrypted; add their key "
            "to WEBHOOK_KEYS, or rotate their secrets with the API"
        )
