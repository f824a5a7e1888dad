"""Looks for the secrets in all that is left of a run: output, log, database, backups, lock, what others were told.

Nothing of them may be found, in no form, but in .env itself.
"""

import base64
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from urllib.parse import quote

from botctl.domain.configuration.settings import SETTINGS
from tests.bot_runner import PROJECT
from tests.chaos.campaign import SEPARATOR
from tests.chaos.kills import end_at_request
from tests.chaos.scenes import Stage, prepare_a_position
from tests.chaos.world import World
from tests.databases import execute
from tests.fake_kraken import Request
from tests.fake_kraken.faults import Reply

RAW = hashlib.sha512(b"what nobody may read").digest()
SECRETS = {
    "KRAKEN_API_KEY": "kQ7vApiKey/EiNeRdErGeHeImEn+ScHlUeSsEl0123456789abcdefGHIJ",
    "KRAKEN_PRIVATE_KEY": base64.b64encode(RAW).decode(),
    "NOTIFY_URLS": "https://hooks.example/services/T0KEN00001/xWvUtSrQpOnM",
    "HEALTHCHECK_URL": "https://ping.example/0f6f5a5e-1b1b-4c4c-9d9d-a1b2c3d4e5f6",
    "SERVE_TOKEN": "sErVeToKeN.6f1e2d3c4b5a-0123456789",
}
HALF = 12
"""Characters at either end that already tell too much."""
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("init",),
    ("doctor",),
    ("notify", "--test"),
    ("status",),
    ("balance",),
    ("buy", "ETH/USD", "100", "--yes"),
    ("buy", "ETH/USD", "100", "--validate"),
    ("positions", "--live"),
    ("check-positions",),
    ("drawdown", "--check"),
    ("drawdown",),
    ("sell", "ETH/USD", "--yes"),
    ("tick",),
    ("why", "BTC/USD"),
    ("orders",),
    ("trades",),
    ("explain", "1"),
    ("log",),
    ("config", "show"),
    ("config", "check"),
    ("pause", "--freeze", "--reason", "a look"),
    ("tick",),
    ("resume", "--enable-buys"),
    ("liquidate", "--yes"),
    ("demo", "--ticks", "1"),
    ("buy", "nonsense", "nan"),
)
ENDPOINTS = (
    "AddOrder",
    "QueryOrders",
    "QueryTrades",
    "BalanceEx",
    "Ticker",
    "OHLC",
    "AssetPairs",
    "Time",
    "GetApiKeyInfo",
)
PATHS = frozenset(
    {"BOTCTL_HOME", "DATABASE_URL", "LOG_FILE", "METRICS_FILE", "REPORT_FILE", "COUNCIL_COMMAND", "SENTIMENT_URL"}
)
"""Settings that any text fits, so that nobody can tell a key in them from what belongs there."""
ECHOES: dict[str, Callable[[str], bytes]] = {
    "an error": lambda words: json.dumps({"error": [f"EAPI:Invalid key:{words}"]}).encode(),
    "two errors": lambda words: json.dumps({"error": [words, f"EGeneral:{words}"]}).encode(),
    "escaped": lambda words: json.dumps({"error": [words]}).replace("/", "\\/").encode(),
    "a page": lambda words: f"<html><pre>API-Key: {words}</pre></html>".encode(),
    "a result": lambda words: json.dumps({"error": [], "result": {words: {words: words}}}).encode(),
    "a value": lambda words: json.dumps({"error": [], "result": {"txid": [words], "status": words}}).encode(),
}


ECHOED = (("tick",), ("balance", "--json"), ("doctor",), ("buy", "ETH/USD", "100", "--yes"))


def forms_of(secret: str) -> Iterator[bytes]:
    """Each way in which a secret might lie somewhere."""
    yield from (secret.encode(), quote(secret, safe="").encode(), secret[:HALF].encode(), secret[-HALF:].encode())
    yield from (
        json.dumps(secret)[1:-1].encode(),
        secret.replace("/", "\\/").encode(),
        base64.b64encode(secret.encode()),
    )
    if secret == SECRETS["KRAKEN_PRIVATE_KEY"]:
        yield from (RAW, RAW.hex().encode(), RAW[:HALF], RAW.hex()[: 2 * HALF].encode())


def nothing_is_found(world: World) -> None:
    """Search every file of the world, and its name, for every form of every secret and for every signature."""
    forms = {name: set(forms_of(secret)) for name, secret in SECRETS.items()}
    forms["API-Sign"] = {form for signature in world.kraken.signatures for form in forms_of(signature)}
    found = []
    for path in world.folder.rglob("*"):
        if path.is_file() and path.name != ".env":
            content = path.name.encode("utf-8", "surrogateescape") + b"\n" + path.read_bytes()
            found += [f"{name} in {path.name}" for name, some in forms.items() if any(form in content for form in some)]
    assert found == [], found


def check_file_modes(world: World) -> None:
    """What a run leaves is for its owner alone."""
    loose = [path.name for path in world.home.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert [name for name in loose if name.startswith((".env", "live.db", "log", "HALT"))] == []


def keep_secrets(world: World, where: str) -> None:
    """Give this world its secrets, in the environment or in .env, and a log of everything."""
    world.kraken.key.public, world.kraken.key.secret = SECRETS["KRAKEN_API_KEY"], SECRETS["KRAKEN_PRIVATE_KEY"]
    (world.home / ".env").write_text("".join(f"{name}={value}\n" for name, value in SECRETS.items()))
    (world.home / ".env").chmod(0o600)
    for name, value in SECRETS.items():
        world.settings.pop(name, None)
        if where == "environment":
            world.settings[name] = value
    world.settings |= {"LOG_FILE": "log", "LOG_LEVEL": "DEBUG", "MAX_OPEN_TRADES": "9"}


def have_a_curious_council(world: World, decision: str) -> None:
    """A program that keeps all it can learn of who started it."""
    lines = [
        "env > told",
        "cat /proc/$PPID/comm >> told",
        "tr '\\0' ' ' < /proc/$PPID/cmdline >> told",
        "cat >> told",
        f"echo '{json.dumps({'decision': decision, 'reason': 'so it is'})}'",
    ]
    (world.home / "council.sh").write_text("\n".join(lines))
    world.settings["COUNCIL_COMMAND"] = f"/bin/sh {shlex.quote(str(world.home / 'council.sh'))}"


# What is played


def every_command(world: World) -> int:
    """Every command, loud, as a table and as JSON; one as a process of its own, whose title others see."""
    for decision, options in (("BUY", ()), ("SELL", ("--json",))):
        have_a_curious_council(world, decision)
        for command in COMMANDS:
            world.run("--debug", *command, *options)
    with (world.folder / "real").open("wb") as out:
        run = [sys.executable, "-m", "botctl", "--debug", "tick"]
        environment = {**world.settings, "PYTHONPATH": str(PROJECT)}
        subprocess.run(run, env=environment, cwd=world.home, stdout=out, stderr=out, timeout=120, check=False)
    assert "botctl" in (world.home / "told").read_text()
    return 2 * len(COMMANDS) + 1


def echo_of(kind: str, endpoint: str) -> Callable[[World], int]:
    """This endpoint answers with what it was sent: keys and signature."""

    def play(world: World) -> int:
        have_a_curious_council(world, "BUY")
        world.kraken.alter_reply = _echo(world, endpoint, ECHOES[kind])
        for command in ECHOED:
            world.run("--debug", *command)
        world.kraken.alter_reply = None
        return len(ECHOED)

    return play


def _echo(world: World, endpoint: str, echo: Callable[[str], bytes]) -> Callable[[Request, Reply], Reply]:
    def alter(asked: Request, reply: Reply) -> Reply:
        if asked.endpoint != endpoint:
            return reply
        body = echo(f"{world.kraken.api_key} {asked.signature} {world.kraken.secret}")
        return replace(reply, body=body)

    return alter


def every_wrong_place(world: World) -> int:
    """Each key where any other setting belongs, while it is where it belongs too, and while it is not."""
    for setting in OTHER_SETTINGS:
        for key, key_too in MISPLACED:
            misplace(world, setting, key, key_too)
    return len(OTHER_SETTINGS) * len(MISPLACED) + wrong_lines(world)


def each_wrong_place(world: World) -> int:
    """One key where any other setting belongs, in one way and the other by turns."""
    for setting, (key, key_too) in zip(OTHER_SETTINGS, cycle(MISPLACED), strict=False):
        misplace(world, setting, key, key_too)
    return len(OTHER_SETTINGS) + wrong_lines(world)


OTHER_SETTINGS = [setting.name for setting in SETTINGS if not setting.secret and setting.name not in PATHS]
MISPLACED = tuple(product(("KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY"), (True, False)))


def misplace(world: World, setting: str, key: str, key_too: bool) -> None:
    """The sentence that names the setting must not show the key."""
    kept = dict(world.settings)
    world.settings[setting] = SECRETS[key]
    if not key_too:
        (world.home / ".env").rename(world.home / ".env.away")
        world.settings = {key: value for key, value in world.settings.items() if key not in SECRETS}
    run = world.run("--debug", "doctor" if key_too else "status")
    if not key_too:
        (world.home / ".env.away").rename(world.home / ".env")
    world.settings = kept
    assert setting in run.stdout + run.stderr, run.words


def wrong_lines(world: World) -> int:
    """A key in a line of .env that is none, or with something behind it."""
    played = 0
    for text in (
        f"KRAKEN_PRIVATE_KEY {RAW.hex()}",
        f"KRAKEN_API_KEY: {SECRETS['KRAKEN_API_KEY']}",
        SECRETS["NOTIFY_URLS"],
    ):
        (world.home / "bad.env").write_text(f"{text}\n")
        world.run("--debug", "status", "--env-file", str(world.home / "bad.env"))
        (world.home / "bad.env").unlink()
        played += 1
    for name in SECRETS:
        world.settings[name] = f"{SECRETS[name]}\x07!"
        world.run("--debug", "balance")
        world.settings.pop(name)
        played += 1
    return played


def every_end(world: World) -> int:
    """SIGTERM and Ctrl-C in the middle of each request, and errors that nobody foresaw."""
    played = 0
    have_a_curious_council(world, "BUY")
    for number in range(1, 12):
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            end_at_request(world, "request before", number, ending)
            world.run("--debug", "tick")
            world.kraken.before = None
            world.clock.skip(900)
            played += 1
    no_price = "NaN" if world.server else "low"  # a server keeps numbers only
    execute(world.where, f"UPDATE trade SET amount = 'much', stop_loss_price = '{no_price}'")
    for command in COMMANDS:
        world.run("--debug", *command)
        played += 1
    return played


SITUATIONS: dict[str, Callable[[World], int]] = {
    "every command": every_command,
    **{f"{kind} that echo, {endpoint}": echo_of(kind, endpoint) for kind in ECHOES for endpoint in ENDPOINTS},
    "every wrong place": every_wrong_place,
    "every end": every_end,
}
IN_SHORT = {"each wrong place": each_wrong_place}
"""What a campaign plays in full."""


class SecretsKept:
    """Runs of all kinds, and then a search."""

    name = "secrets"
    about = "runs of all kinds, and a search for the secrets"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        for situation in SITUATIONS:
            for where in ("env file", "environment"):
                what, _, endpoint = situation.partition(", ")
                yield SEPARATOR.join((self.name, what, f"{where}, {endpoint}" if endpoint else where))

    def play(self, stage: Stage, trial: str) -> int:
        _, what, where = trial.split(SEPARATOR)
        where, _, endpoint = where.partition(", ")
        situation = f"{what}, {endpoint}" if endpoint else what
        world = stage.after(prepare_a_position)
        try:
            keep_secrets(world, where)
            os.umask(0o022)
            played = (SITUATIONS | IN_SHORT)[situation](world)
            nothing_is_found(world)
            check_file_modes(world)
        finally:
            world.close()
        return played


def shown_of(folder: Path) -> list[str]:
    """Everything that objects of ours print of themselves while secrets are in them."""
    from botctl.config import Config
    from botctl.domain.configuration.settings import parse_settings
    from botctl.domain.errors import BotError
    from botctl.store.database import close_database, open_database
    from botctl.wiring import build_bot, build_kraken

    settings = parse_settings(
        {**SECRETS, "BOTCTL_MODE": "live", "INITIAL_BALANCE": "1", "KRAKEN_API_URL": "http://127.0.0.1:9"}
    )
    config = Config(folder, folder / ".env", settings)
    open_database(config.database, settings.botctl_mode, create=True)
    try:
        bot, kraken = build_bot(settings, config.switch), build_kraken(settings)
        ours = [settings, config, bot, kraken, kraken.session]
        things = [*ours, vars(kraken.session), vars(bot), vars(config), SETTINGS]
        try:
            kraken.fetch_balances()
        except BotError as error:
            chain: BaseException | None = error
            while chain is not None:
                things += [chain, vars(chain)]
                chain = chain.__cause__ or chain.__context__
        return [text for thing in things for text in (repr(thing), str(thing), f"{thing}")]
    finally:
        close_database()
