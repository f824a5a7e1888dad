"""What `botctl init` asks on a terminal, for a home that has no .env yet. The key is checked against Kraken at once."""

import os
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import typer

from botctl.cli.tables import fit
from botctl.config import Config, open_store
from botctl.domain.configuration.settings import SETTINGS, Mode, Setting, Settings, parse_leniently
from botctl.domain.errors import BotError, Refused
from botctl.domain.health.checks import CheckResult
from botctl.domain.money import cents
from botctl.domain.symbols import resolve_symbol

MODES = "The modes: demo (synthetic prices), paper (real prices, play money) and live (real money)."
KEY_RIGHTS = (
    "Create an API key for botctl only at Kraken (Settings, API), with the rights Query Funds, Query Open Orders & "
    "Trades, Query Closed Orders & Trades, and Create & Modify Orders, and without the right to withdraw."
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def may_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask_settings(config: Config, mode: Mode | None) -> dict[str, str]:
    """The settings of a new home by name, those of the environment left out: it wins over the file."""
    questions = Questions(os.environ)
    _say(f"This creates {config.env_file}. Enter keeps the default in brackets. You can edit the file later.")
    if mode is None:
        _say(MODES)
        questions.ask("BOTCTL_MODE", "Mode", config.settings.botctl_mode)
    else:
        questions.answers["BOTCTL_MODE"] = mode
    chosen = questions.settings.botctl_mode
    if chosen in (Mode.PAPER, Mode.LIVE):
        questions.ask_symbols()
        questions.ask("TRADE_AMOUNT_USD", "Cost of one entry, in quote currency", BY_NAME["TRADE_AMOUNT_USD"].default)
    if chosen is Mode.LIVE:
        questions.ask_key()
        questions.ask_initial_balance()
    return questions.answers


@dataclass
class Questions:
    environment: Mapping[str, str]
    answers: dict[str, str] = field(default_factory=dict)
    equity: Decimal | None = None
    """What the account is worth, once a key has told."""

    @property
    def settings(self) -> Settings:
        known = {name: value for name, value in self.environment.items() if name in BY_NAME}
        return parse_leniently(self.answers | known)[0]

    def ask(
        self,
        name: str,
        question: str,
        default: str | None,
        *,
        hidden: bool = False,
        understand: Callable[[str], str] = str,
    ) -> None:
        """Ask until the setting can be read; an empty answer leaves it out. Not where the environment has it.

        `understand` makes the setting's text of what was typed, or raises ValueError with what is wrong with it.
        """
        if self.environment.get(name):
            return
        setting = BY_NAME[name]
        while True:
            typed = _read_hidden(question) if hidden else _read(question, default)
            try:
                typed = understand(typed)
            except ValueError as error:
                problem: str | None = str(error)
            else:
                problem = _problem_with(setting, typed) if typed else None
            if problem is None:
                break
            _say(f"  {problem}")
        if typed:
            self.answers[name] = typed

    def ask_symbols(self) -> None:
        markets = cache(lambda: _load_symbols(self.settings))
        default = BY_NAME["SYMBOLS"].default or ""

        def understand(typed: str) -> str:
            parts = [part for part in typed.split(",") if part.strip()]
            symbols = [resolve_symbol(part.strip(), default.split(","), markets()) for part in parts]
            if unknown := [symbol for symbol in symbols if markets() and symbol not in markets()]:
                raise ValueError(f"Kraken has no market {', '.join(unknown)}")
            return ",".join(dict.fromkeys(symbols))

        self.ask("SYMBOLS", "What to trade, separated by commas", default, understand=understand)

    def ask_key(self) -> None:
        """Both parts, until Kraken takes them, or left out."""
        if self.environment.get("KRAKEN_API_KEY") and self.environment.get("KRAKEN_PRIVATE_KEY"):
            return
        _say(KEY_RIGHTS)
        while True:
            self.ask("KRAKEN_API_KEY", "API key (hidden; leave it empty to add it later)", None, hidden=True)
            if self.settings.kraken_api_key is None:
                return
            self.ask("KRAKEN_PRIVATE_KEY", "Private key (hidden)", None, hidden=True)
            if self.settings.kraken_private_key is not None and self._is_accepted():
                return
            self.answers.pop("KRAKEN_API_KEY", None)
            self.answers.pop("KRAKEN_PRIVATE_KEY", None)

    def _is_accepted(self) -> bool:
        try:
            results, self.equity = _ask_kraken(self.settings)
        except Refused as refusal:
            _say(f"  {refusal.message}")
            return False
        except BotError as error:
            _say(f"  the key could not be checked: {error.message}; `botctl doctor` checks it later")
            return True
        for result in results:
            _say(f"  {result.status}: {result.detail}{f': {result.fix}' if result.fix else ''}")
        failed = any(result.status == "fail" for result in results)
        return not failed or typer.confirm("Use this key anyway?", default=False, err=True)

    def ask_initial_balance(self) -> None:
        default = None if self.equity is None else f"{cents(self.equity)}"
        self.ask("INITIAL_BALANCE", "Value of the whole account; drawdown is measured from it", default)


def _ask_kraken(settings: Settings) -> tuple[Sequence[CheckResult], Decimal | None]:
    """What Kraken says of the key, and what the account is worth. Raises Refused for a key that it does not take."""
    from botctl.adapters.kraken.checks import check_key
    from botctl.wiring import build_bot, kraken_of

    with _temporary(settings) as config:
        bot = build_bot(settings, config.switch)
        kraken = kraken_of(bot)
        if kraken is None:
            raise AssertionError("a live bot trades on Kraken")
        try:
            results = list(check_key(kraken, allow_withdraw=False, remember=lambda _: None))
        except BotError as error:
            if "EAPI:Invalid" in error.message:
                raise Refused(f"Kraken does not take this key ({error.message})") from error
            raise
        return results, bot.snapshots.take_snapshot([]).equity


def _load_symbols(settings: Settings) -> Sequence[str]:
    """Kraken's; none where it can't be asked: `doctor` does it later."""
    from botctl.wiring import open_market_data

    try:
        with open_market_data(settings) as market:
            return list(market.load_markets())
    except BotError as error:
        _say(f"  the symbols could not be checked: {error.message}; `botctl doctor` checks them later")
        return []


@contextmanager
def _temporary(settings: Settings) -> Iterator[Config]:
    """A database for the time of a question: nothing is left of a home that is not set up to its end."""
    with tempfile.TemporaryDirectory(prefix="botctl-init-") as folder:
        config = Config(Path(folder), Path(folder) / ".env", replace(settings, database_url="sqlite:///asked.db"))
        with open_store(config, create=True, durable=False):
            yield config


def _problem_with(setting: Setting, text: str) -> str | None:
    try:
        setting.parse(text)
    except ValueError as error:
        if setting.secret:
            return f"that {error}"
        return f"it {error}, not {text!r:.100}" if str(error).startswith("must be") else f"{text!r:.100} {error}"
    return None


def _read(question: str, default: str | None) -> str:
    typed: str = typer.prompt(question, default=default or "", show_default=bool(default), err=True)
    return typed.strip()


def _read_hidden(question: str) -> str:
    """A line of stdin that the terminal does not show. Raises typer.Abort at its end."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(number, termios.TCSADRAIN, silent)  # before the question: who answers at once is not shown
        sys.stderr.write(f"{question}: ")
        sys.stderr.flush()
        typed = sys.stdin.readline()
    except KeyboardInterrupt:
        raise typer.Abort from None
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
        sys.stderr.write("\n")
    if not typed:
        raise typer.Abort
    return typed.strip()


def _say(text: str) -> None:
    typer.echo(fit(text, sys.stderr), err=True)
