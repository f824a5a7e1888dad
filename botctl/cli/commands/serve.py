"""serve: the page, the JSON documents and the metrics, for a browser and for programs."""

import signal
import sys
from contextlib import suppress
from ipaddress import ip_address
from types import FrameType
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, config_from
from botctl.cli.output import show
from botctl.cli.results import ServeView
from botctl.domain.configuration.parsers import problem_with_token
from botctl.domain.errors import BadValue, ConfigError
from botctl.store.database import open_to_read

LOOPBACK = "127.0.0.1"


def serve(
    ctx: typer.Context,
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="The port to listen on; 0 picks a free one.")
    ] = 8765,
    bind: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            show_default="127.0.0.1, this machine only",
            help="The address to listen on. Needs a token.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", show_default="SERVE_TOKEN", help="The token that each reader must send."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Serve the report as a web page that stays current.

    The page is built on request. /api/status.json, positions, trades, orders, decisions, log, flows, slippage and
    resting-stops are the documents of --json, /metrics is for Prometheus. It only reads: no request changes anything,
    and no tick waits. Ctrl-C ends it.

    Only this machine may read it, unless you set a token. Set it with SERVE_TOKEN: other users of this machine can see
    a command line.

    \b
    Examples:
      botctl serve
      botctl serve --bind 192.168.1.20 --port 8080
    """
    from botctl.cli.serve.access import Access
    from botctl.cli.serve.documents import Documents
    from botctl.cli.serve.server import Server

    config = config_from(ctx, looks=True)
    own = config.settings.serve_token
    secret = own.reveal() if token is None and own is not None else token  # `--token ""` is a slip, and is told
    address = _address_from(bind, secret)
    with open_to_read(config.database, config.settings.botctl_mode):
        pass  # what is wrong with it is told here, and not to each browser
    try:
        server = Server(address, port, Documents(config), Access(secret))
    except OSError as error:
        raise ConfigError(
            f"can't listen on {address}, port {port}: {error.strerror}", hint="choose another port"
        ) from None
    with server, suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, _end)
        shown = f"[{address}]" if ":" in address else address
        show(ctx, ServeView(f"http://{shown}:{server.server_port}/"), lambda view: view.url, name_mode=False)
        sys.stdout.flush()
        server.serve_forever(poll_interval=0.2)


def _address_from(bind: str | None, token: str | None) -> str:
    """Where to listen. Raises BadValue."""
    if token is not None and (problem := problem_with_token(token)):
        raise BadValue(f"--token {problem}", hint="or set SERVE_TOKEN")
    try:
        address = ip_address(bind or LOOPBACK)
    except ValueError:
        raise BadValue(
            f"--bind {bind!r} is not an address", hint="give one of this machine's, such as 192.168.1.20"
        ) from None
    if not address.is_loopback and token is None:
        raise BadValue(f"--bind {bind} needs a token", hint="set SERVE_TOKEN, for example to `openssl rand -hex 16`")
    return str(address)


def _end(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM is how systemd ends it."""
    raise KeyboardInterrupt
