"""Every setting: its name, default, parser and meaning; read once into one frozen object."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from botctl.domain.configuration.addresses import ProxyUrl, parse_api_url, parse_proxy_url, parse_url
from botctl.domain.configuration.database_url import ServerUrl, parse_database_url, without_password
from botctl.domain.configuration.parsers import (
    decimal_parser,
    float_parser,
    integer_parser,
    parse_allocation,
    parse_amount,
    parse_assets,
    parse_currency,
    parse_level,
    parse_names,
    parse_on,
    parse_page,
    parse_rule,
    parse_share,
    parse_sizing,
    parse_symbols,
    parse_timeframe,
    parse_yes,
    problem_with_token,
)
from botctl.domain.council_rules import CouncilRule
from botctl.domain.errors import ConfigError
from botctl.domain.fees import parse_fee_rate
from botctl.domain.indicators import MAX_ATR_PERIOD
from botctl.domain.money import format_decimal
from botctl.domain.sizing import Allocation, SizeRule, Sizing
from botctl.domain.stops import StopRule
from botctl.domain.symbols import Timeframe, problem_with_signals


class Mode(StrEnum):
    DEMO = "demo"
    PAPER = "paper"
    LIVE = "live"
    REPLAY = "replay"
    """Only of the database that a replay keeps: it shows what happened and never trades."""


@dataclass(frozen=True, repr=False)
class Secret:
    """A text that is never printed."""

    value: str

    def reveal(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return "***"


def _mode(text: str) -> Mode:
    try:
        return Mode(text.lower())
    except ValueError:
        raise ValueError("must be demo, paper or live") from None


def _variables(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in names):
        raise ValueError("must list names of variables such as MODEL_KEY,MODEL_URL")
    ours = {*(setting.name for setting in SETTINGS if setting.secret), "DATABASE_URL", "PGPASSWORD"}
    if named := [name for name in names if name in ours]:
        raise ValueError(f"must not name {', '.join(named)}: no program gets a secret of botctl")
    return names


def _api_key(text: str) -> Secret:
    if not re.fullmatch(r"[!-~]+", text):  # it is sent in a header
        raise ValueError("is not a Kraken API key: letters, digits and symbols, without spaces")
    return Secret(text)


def _private_key(text: str) -> Secret:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("is not a Kraken private key: base64 text, copied completely") from None
    return Secret(text)


def _token(text: str) -> Secret:
    if problem := problem_with_token(text):
        raise ValueError(problem)
    return Secret(text)


class Setting(NamedTuple):
    """One setting. Without a default it may be empty, and then it is not set."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    meaning: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("BOTCTL_MODE", "demo", _mode, "demo (synthetic prices), paper (live prices, play money) or live"),
    Setting(
        "LIVE_TRADING", "no", parse_yes, "live: yes allows buys with real money; else botctl only guards and sells"
    ),
    Setting("BOTCTL_HOME", None, str, "folder of .env and the database; default: the working directory"),
    Setting("KRAKEN_API_KEY", None, _api_key, "key with query and create-order rights, never withdraw (live)", True),
    Setting("KRAKEN_PRIVATE_KEY", None, _private_key, "its private key (live)", True),
    Setting("ALLOW_WITHDRAW_KEY", "no", parse_yes, "yes allows buys with a key that may withdraw (live)"),
    Setting("KRAKEN_API_URL", None, parse_api_url, "another base URL for Kraken's API; https, or http on this machine"),
    Setting("HTTPS_PROXY", None, parse_proxy_url, "the HTTP proxy through which Kraken is reached"),
    Setting(
        "DATABASE_URL", None, parse_database_url, "default: sqlite:///data/<mode>.db; or postgresql://user@host/name"
    ),
    Setting("SYMBOLS", "BTC/USD,ETH/USD", parse_symbols, "what the Council trades"),
    Setting("QUOTE_CURRENCY", "USD", parse_currency, "the currency equity and drawdown are counted in"),
    Setting(
        "TRADE_AMOUNT_USD", "100", parse_amount, "the cost of an entry of the Council, in the symbol's quote currency"
    ),
    Setting(
        "SIZING", "fixed", parse_sizing, "fixed: an entry costs TRADE_AMOUNT_USD; risk: its stop loses RISK_PER_TRADE"
    ),
    Setting(
        "RISK_PER_TRADE", None, parse_share, "fraction of the equity that a stop loses, costs included: 0.005 or 0.5%"
    ),
    Setting("COMPOUND", "no", parse_yes, "yes: TRADE_AMOUNT_USD grows and shrinks with the account"),
    Setting("MAX_TRADE_AMOUNT", None, parse_amount, "the largest cost of an entry, in the symbol's quote currency"),
    Setting("MAX_EXPOSURE", None, parse_share, "the largest fraction of the equity in open trades"),
    Setting("ALLOCATION", None, parse_allocation, "the largest fraction of the equity per asset: BTC:0.5,ETH:0.3"),
    Setting("MAX_OPEN_TRADES", "5", integer_parser(1, 10_000), "no entry while this many trades are active"),
    Setting("COOLDOWN_MINUTES", "60", integer_parser(0, 1_000_000), "minutes until an asset may be bought again"),
    Setting("TIMEFRAME", "15m", parse_timeframe, "length of a candle, and the time between two ticks"),
    Setting("SIGNAL_TIMEFRAME", None, parse_timeframe, "length of the candles of agents and ATR; default: TIMEFRAME"),
    Setting(
        "TICK_TIMEOUT", None, decimal_parser("1", "86400"), "seconds for a tick; default: 0.8 TIMEFRAME, at most 720"
    ),
    Setting("ATR_PERIOD", "14", integer_parser(2, MAX_ATR_PERIOD), "candles in the average true range"),
    Setting("ATR_MULTIPLE", "2", float_parser("0.01", "100"), "the stop's distance, in average true ranges"),
    Setting("BREAKEVEN_ATR", "2", float_parser("0.01", "100"), "the rise, in average true ranges, that moves the stop"),
    Setting("BREAKEVEN_FEES", "no", parse_yes, "yes: the breakeven stop covers both fees, not the entry price alone"),
    Setting(
        "MIN_STOP_COSTS",
        "0",
        float_parser("0", "100"),
        "no entry whose stop is closer than this many round-trip costs; 0: any",
    ),
    Setting("EXCHANGE_STOP", "off", parse_on, "on: a stop order rests at Kraken for each open trade, below its stop"),
    Setting(
        "EXCHANGE_STOP_ATR", "1", float_parser("0", "100"), "how far it rests below the stop, in average true ranges"
    ),
    Setting("INITIAL_BALANCE", None, parse_amount, "what drawdown is measured from; live: required; else 10000"),
    Setting("MAX_DRAWDOWN", "0.20", decimal_parser("0", "1", include_low=False), "fraction lost that sells everything"),
    Setting(
        "MAX_DRAWDOWN_PEAK",
        None,
        decimal_parser("0", "1", include_low=False),
        "the same below the highest performance so far; default: no such limit",
    ),
    Setting("IGNORE_ASSETS", None, parse_assets, "assets without a price that no tick names, such as air-drops"),
    Setting("COUNCIL", "technical,sentiment", parse_names, "the agents of the Council"),
    Setting(
        "COUNCIL_RULE", "story", parse_rule, "how their verdicts become a decision: story, unanimous, majority, weights"
    ),
    Setting(
        "COUNCIL_COMMAND", None, str, "a program that decides instead of the agents, or sits among them as `command`"
    ),
    Setting("COUNCIL_TIMEOUT", "30", decimal_parser("0", "600", include_low=False), "seconds that program may take"),
    Setting("COUNCIL_CANDLES", "100", integer_parser(1, 720), "how many candles that program is sent"),
    Setting("COUNCIL_EVERY", None, parse_timeframe, "how long an answer of that program is used; default: one tick"),
    Setting("COUNCIL_ENV", None, _variables, "variables that program gets beside PATH, HOME, LANG and TZ"),
    Setting(
        "SENTIMENT_URL", "https://api.alternative.me/fng/?limit=1", parse_url, "where the Fear & Greed index is read"
    ),
    Setting(
        "FEE_RATE", "0.008", parse_fee_rate, "fee where the account's own is unknown: a fraction, or tier1 to tier9"
    ),
    Setting(
        "SLIPPAGE", "0.0005", decimal_parser("0", "0.5"), "slippage of the paper broker, as a fraction of the price"
    ),
    Setting("EXIT_SLIPPAGE", None, decimal_parser("0", "0.5"), "the same of its sells; default: three times SLIPPAGE"),
    Setting(
        "NOTIFY_URLS", None, Secret, "where notifications are sent: apprise URLs, comma-separated (extra notify)", True
    ),
    Setting("HEALTHCHECK_URL", None, Secret, "pinged at start, success and failure of each tick", True),
    Setting("METRICS_FILE", None, str, "file for the last tick's metrics in Prometheus' text format (extra metrics)"),
    Setting("REPORT_FILE", None, parse_page, "page of the account, rewritten after ticks and trades (extra report)"),
    Setting("REPORT_EVERY", "1h", parse_timeframe, "how often that page is rewritten at most; after a trade at once"),
    Setting("SERVE_TOKEN", None, _token, "the token a browser sends to `botctl serve`; needed with --bind", True),
    Setting(
        "KEEP_DAYS",
        "400",
        integer_parser(0, 100_000),
        "days that ticks, decisions and events are kept; 0 keeps them for ever",
    ),
    Setting("LOG_LEVEL", "INFO", parse_level, "what LOG_FILE receives: DEBUG, INFO, WARNING or ERROR"),
    Setting("LOG_FILE", None, str, "a file for the log; warnings and errors go to stderr in any case"),
)

MIN_SECRET_LENGTH = 8
"""In characters. A shorter text could be part of any message."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
KEY_LIKE = r"[A-Za-z0-9+/]{40,}={0,2}"
"""What may be one of Kraken's keys: 56 or 88 characters of base64."""
BETWEEN_URLS = r"[\s,]+(?=[A-Za-z][A-Za-z0-9]*://)"
"""A separator of two addresses: a comma or a blank before another address."""
PASSWORD = r"(://[^/@\s]*:)[^/@\s]+(@)"
"""The password of an address, between the user's name and the host."""
NAMES = tuple(setting.name for setting in SETTINGS)
DEFAULT_BALANCE = Decimal(10000)
EXIT_SLIPPAGES = 3
"""The default EXIT_SLIPPAGE is so many times SLIPPAGE, but at most MAX_SLIPPAGE."""
MAX_SLIPPAGE = Decimal("0.499")
MAX_TICK_SECONDS = Decimal(720)
"""The default TICK_TIMEOUT is at most this: manual orders wait for a tick's end, whatever the timeframe."""


@dataclass(frozen=True)
class Settings:
    """The effective settings. Money is in the quote currency, 0.2 is twenty percent, times are in their name's unit."""

    botctl_mode: Mode
    live_trading: bool
    botctl_home: str | None
    kraken_api_key: Secret | None
    kraken_private_key: Secret | None
    allow_withdraw_key: bool
    kraken_api_url: str | None
    https_proxy: ProxyUrl | None
    database_url: str | ServerUrl
    symbols: tuple[str, ...]
    quote_currency: str
    trade_amount_usd: Decimal
    sizing: Sizing
    risk_per_trade: Decimal | None
    compound: bool
    max_trade_amount: Decimal | None
    max_exposure: Decimal | None
    allocation: Allocation | None
    max_open_trades: int
    cooldown_minutes: int
    timeframe: Timeframe
    signal_timeframe: Timeframe
    tick_timeout: Decimal
    atr_period: int
    atr_multiple: float
    breakeven_atr: float
    breakeven_fees: bool
    min_stop_costs: float
    exchange_stop: bool
    exchange_stop_atr: float
    initial_balance: Decimal | None
    max_drawdown: Decimal
    max_drawdown_peak: Decimal | None
    ignore_assets: tuple[str, ...] | None
    council: tuple[str, ...]
    council_rule: CouncilRule
    council_command: str | None
    council_timeout: Decimal
    council_candles: int
    council_every: Timeframe | None
    council_env: tuple[str, ...] | None
    sentiment_url: str
    fee_rate: Decimal
    slippage: Decimal
    exit_slippage: Decimal
    notify_urls: Secret | None
    healthcheck_url: Secret | None
    metrics_file: str | None
    report_file: str | None
    report_every: Timeframe
    serve_token: Secret | None
    keep_days: int
    log_level: str
    log_file: str | None

    @property
    def stop_rule(self) -> StopRule:
        return StopRule(self.atr_multiple, self.breakeven_atr, self.breakeven_fees)

    @property
    def signal_seconds(self) -> int | None:
        """The length of a signal candle; None where every candle is one."""
        return None if self.signal_timeframe is self.timeframe else self.signal_timeframe.seconds

    @property
    def size_rule(self) -> SizeRule:
        by_risk = self.sizing is Sizing.RISK
        return SizeRule(
            amount=float(self.trade_amount_usd),
            risk=float(self.risk_per_trade or 0) if by_risk else 0.0,
            compound=self.compound and not by_risk,
            max_amount=float(self.max_trade_amount or 0),
            max_exposure=float(self.max_exposure or 0),
            allocation=self.allocation or Allocation(),
            slippage=float(self.slippage),
            exit_slippage=float(self.exit_slippage),
        )

    @property
    def resting_distance(self) -> float | None:
        """How many average true ranges a resting stop lies below a trade's stop; None where none is wanted."""
        return self.exchange_stop_atr if self.exchange_stop else None

    @property
    def channels(self) -> tuple[Secret, ...]:
        """The addresses in NOTIFY_URLS: separated by commas or blanks, and they may contain commas."""
        text = self.notify_urls.reveal() if self.notify_urls else ""
        return tuple(Secret(url) for url in dict.fromkeys(re.split(BETWEEN_URLS, text.strip(" ,"))) if url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that nothing outside botctl may see, with the passwords in addresses."""
        keys = (
            self.kraken_api_key, self.kraken_private_key, self.notify_urls, self.healthcheck_url, self.serve_token
        )  # fmt: skip
        urls = [url for url in (self.database_url, self.https_proxy) if isinstance(url, ServerUrl | ProxyUrl)]
        passwords = [password for url in urls for password in url.secrets]
        return tuple(text for text in (*(key.reveal() for key in keys if key), *passwords) if text)

    @property
    def live_trading_disabled(self) -> bool:
        """Whether this is live mode without LIVE_TRADING=yes, which guards and sells, and buys nothing."""
        return self.botctl_mode is Mode.LIVE and not self.live_trading


def parse_settings(values: Mapping[str, str]) -> Settings:
    """The settings in `values`, with defaults. Raises ConfigError with all problems, never with a secret's value."""
    settings, problems = parse_leniently(values)
    if problems:
        raise ConfigError("; ".join(problems.values()), hint="fix the settings in the environment or in .env")
    return settings


def parse_leniently(values: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """The settings with their default where a value is wrong, and what is wrong: a sentence by name, never with the
    value of a secret."""
    problems: dict[str, str] = {}
    parsed: dict[str, Any] = {}
    for setting in SETTINGS:
        text = (values.get(setting.name, setting.default) or "").strip()
        try:
            parsed[setting.name.lower()] = _parse_setting(setting, text)
        except ValueError as error:
            hidden = setting.secret or (setting.name == "HTTPS_PROXY" and "@" in text)
            shown = "" if hidden else f"={without_password(repr(text)):.100}"
            problem = f"{setting.name}{shown} {error}" if text else f"{setting.name} is empty: {error}"
            problems[setting.name] = _without_keys(problem, values)
            parsed[setting.name.lower()] = None if setting.default is None else setting.parse(setting.default)
    timeout = parsed["tick_timeout"]
    parsed |= _derived_defaults(parsed)
    if timeout and timeout >= (seconds := parsed["timeframe"].seconds) and "TIMEFRAME" not in problems:
        shown = f"TICK_TIMEOUT={values['TICK_TIMEOUT'].strip()!r:.100}"
        problems["TICK_TIMEOUT"] = f"{shown} must be below TIMEFRAME, the {seconds} seconds until the next tick"
        parsed |= _derived_defaults(parsed | {"tick_timeout": None})
    if (misfit := problem_with_signals(parsed["signal_timeframe"], parsed["timeframe"])) is not None:
        if "TIMEFRAME" not in problems:
            problems["SIGNAL_TIMEFRAME"] = misfit
        parsed["signal_timeframe"] = parsed["timeframe"]
    if (why := _wrong_risk(parsed)) is not None:
        problems.setdefault("RISK_PER_TRADE", why)
    return Settings(**parsed), problems


def _wrong_risk(parsed: Mapping[str, Any]) -> str | None:
    """What is wrong with SIZING, RISK_PER_TRADE and MAX_DRAWDOWN together; None when nothing is."""
    risk, limit = parsed["risk_per_trade"], parsed["max_drawdown"]
    if parsed["sizing"] is Sizing.RISK and risk is None:
        return "SIZING=risk needs RISK_PER_TRADE, the fraction of the equity that a stop may lose, such as 0.005"
    if risk is not None and risk >= limit:
        shown = f"RISK_PER_TRADE={format_decimal(risk)} must be below MAX_DRAWDOWN, {format_decimal(limit)}"
        return f"{shown}: one stop would trip the drawdown guard"
    return None


def _parse_setting(setting: Setting, text: str) -> Any:
    if not text and setting.default is None:
        return None
    if CONTROL.search(text):
        raise ValueError("must be on one line, without control characters")
    return setting.parse(text)


def _derived_defaults(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields whose default depends on other settings."""
    mode, seconds = parsed["botctl_mode"], parsed["timeframe"].seconds
    return {
        "signal_timeframe": parsed["signal_timeframe"] or parsed["timeframe"],
        "tick_timeout": parsed["tick_timeout"] or min(Decimal(seconds) * 8 / 10, MAX_TICK_SECONDS),
        "database_url": parsed["database_url"] or f"sqlite:///data/{mode}.db",
        "exit_slippage": _exit_slippage(parsed),
        "initial_balance": parsed["initial_balance"] or (None if mode is Mode.LIVE else DEFAULT_BALANCE),
    }


def _exit_slippage(parsed: Mapping[str, Any]) -> Decimal:
    """A stop sells into a fall, so by default its price is worse than that of an entry."""
    if parsed["exit_slippage"] is not None:
        return Decimal(parsed["exit_slippage"])
    return min(EXIT_SLIPPAGES * Decimal(parsed["slippage"]), MAX_SLIPPAGE)


def shown_value(settings: Settings, name: str) -> str | None:
    """The effective value of a setting as text without secrets; None when it is not set."""
    value = getattr(settings, name.lower())
    if value is None:
        return None
    if isinstance(value, bool):
        yes, no = ("on", "off") if name == "EXCHANGE_STOP" else ("yes", "no")
        return yes if value else no
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Decimal):
        return format_decimal(value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(KEY_LIKE, "***", re.sub(PASSWORD, r"\1***\2", text))


def _without_keys(problem: str, values: Mapping[str, str]) -> str:
    """`problem` without keys: one may have been pasted into another setting, and cron mails the problem."""
    for setting in SETTINGS:
        secret = values.get(setting.name, "").strip()
        if setting.secret and len(secret) >= MIN_SECRET_LENGTH:
            problem = problem.replace(secret, "***")
    return re.sub(KEY_LIKE, "***", without_password(problem))


def missing_for_live(settings: Settings) -> list[str]:
    """The settings that live mode requires and that are not set."""
    if settings.botctl_mode is not Mode.LIVE:
        return []
    needed = {
        "KRAKEN_API_KEY": settings.kraken_api_key,
        "KRAKEN_PRIVATE_KEY": settings.kraken_private_key,
        "INITIAL_BALANCE": settings.initial_balance,
    }
    return [name for name, value in needed.items() if value is None]
