"""Whether those who are to be told can be reached."""

from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, config_from, exit_with
from botctl.cli.output import show_list
from botctl.cli.results import NotifyView
from botctl.cli.views.setup import draw_notifications
from botctl.domain.errors import BadValue, ConfigError


def notify(
    ctx: typer.Context,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to every address.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Send a test message to every address of NOTIFY_URLS.

    Each line tells whether one of them took it. Exit code 1 if one did not.

    \b
    Example:
      botctl notify --test
    """
    from botctl.cli.after_run import title_of
    from botctl.monitoring.alerts import Level
    from botctl.monitoring.sender import MISSING, OutgoingMessage, apprise_is_missing, masked, send_messages

    if not test:
        raise BadValue("there is nothing to send", hint="`botctl notify --test` sends a test message")
    config = config_from(ctx)
    urls = config.settings.channels
    if not urls:
        raise ConfigError("NOTIFY_URLS is not set: nobody is told", hint=f"set it in {config.env_file}")
    if apprise_is_missing():
        raise MISSING
    messages = [OutgoingMessage(url, title_of(config), "This is a test: you will be told.", Level.INFO) for url in urls]
    failures = send_messages(messages)
    rows = [
        NotifyView(masked(url), not why, why.removeprefix(f"{masked(url)} ") or "took it")
        for url, why in zip(urls, failures, strict=True)
    ]
    show_list(ctx, rows, draw_notifications, "nobody to tell")
    exit_with(1 if any(failures) else 0)


def register(app: typer.Typer) -> None:
    app.command("notify")(notify)
