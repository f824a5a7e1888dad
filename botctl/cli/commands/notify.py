"""notify: tests the addresses of NOTIFY_URLS."""

from typing import Annotated

import typer

from botctl.cli.after_run import title_of
from botctl.cli.context import JsonFlag, config_from, exit_with
from botctl.cli.output import show_list
from botctl.cli.results import NotifyView
from botctl.cli.views.setup import draw_notifications
from botctl.domain.errors import BadValue, ConfigError
from botctl.monitoring.alerts import Level
from botctl.monitoring.sender import MISSING, OutgoingMessage, apprise_is_missing, masked, send_messages


def notify(
    ctx: typer.Context,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to every address.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Send a test message to every address of NOTIFY_URLS.

    Prints one line for each address. Exit code 1 if a message was not delivered.

    \b
    Example:
      botctl notify --test
    """
    if not test:
        raise BadValue("nothing to send", hint="`botctl notify --test` sends a test message")
    config = config_from(ctx)
    urls = config.settings.channels
    if not urls:
        raise ConfigError("NOTIFY_URLS is not set", hint=f"set it in {config.env_file}")
    if apprise_is_missing():
        raise MISSING
    text = "This is a test message: notifications work."
    failures = send_messages([OutgoingMessage(url, title_of(config), text, Level.INFO) for url in urls])
    rows = [
        NotifyView(masked(url), not why, why.removeprefix(f"{masked(url)} ") or "delivered")
        for url, why in zip(urls, failures, strict=True)
    ]
    show_list(ctx, rows, draw_notifications, "no addresses")
    exit_with(1 if any(failures) else 0)
