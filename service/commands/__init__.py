"""Commands for operators: `flask --app service.app …`.

``clients`` and ``operators`` manage keys; ``messages`` has explain, reconcile and resolve;
``holds`` pauses and resumes; ``resend`` sends messages again; ``ledger`` has audit, rebuild and
partitions; ``privacy`` has forget; ``opt-outs`` lists, changes, imports and exports opt-outs;
``events`` shows the feeds of clients; ``webhooks`` has rotate-keys.
"""

from flask import Flask

from service.commands import (
    clients,
    dead_letters,
    events,
    holds,
    ledger,
    messages,
    operators,
    opt_out_files,
    opt_outs,
    privacy,
    resend,
    webhooks,
)


def init_app(app: Flask) -> None:
    """Register every command."""
    app.cli.add_command(clients.group)
    app.cli.add_command(dead_letters.group)
    app.cli.add_command(events.group)
    app.cli.add_command(holds.group)
    app.cli.add_command(operators.group)
    app.cli.add_command(opt_outs.group)
    opt_outs.group.add_command(opt_out_files.import_file)
    opt_outs.group.add_command(opt_out_files.export_file)
    app.cli.add_command(resend.group)
    app.cli.add_command(webhooks.group)
    app.cli.add_command(privacy.forget)
    for command in (messages.explain, messages.reconcile, messages.resolve):
        app.cli.add_command(command)
    app.cli.add_command(ledger.group)
    app.cli.add_command(ledger.audit)
    app.cli.add_command(ledger.rebuild)
