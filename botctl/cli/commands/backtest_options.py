"""Files and options of backtest, replay, sweep and report, and the settings that the options override."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from botctl.cli.context import env_file_of, time_from, wants_json
from botctl.config import load_sources
from botctl.domain.candles import CandleColumns
from botctl.domain.decisions import Stance
from botctl.domain.errors import BadValue
from botctl.domain.sentiment import FixedSentiment, SentimentSeries
from botctl.domain.settings import SETTINGS, Settings, parse_settings
from botctl.domain.symbols import Timeframe, parse_symbol, quote_of
from botctl.market_data.history import load_candles, load_sentiment

OVERRIDES = {
    "fee": "FEE_RATE",
    "slippage": "SLIPPAGE",
    "atr_multiple": "ATR_MULTIPLE",
    "breakeven_atr": "BREAKEVEN_ATR",
    "atr_period": "ATR_PERIOD",
    "max_open_trades": "MAX_OPEN_TRADES",
    "cooldown": "COOLDOWN_MINUTES",
    "trade_amount": "TRADE_AMOUNT_USD",
    "max_drawdown": "MAX_DRAWDOWN",
    "cash": "INITIAL_BALANCE",
}
"""Fields of StudyOptions, and the settings that they override."""
DEFAULT_SENTIMENT = Stance.FEAR.value
STANCES = (Stance.FEAR, Stance.GREED, Stance.NEUTRAL)
COUNCIL = "technical,sentiment"
"""The agents that can judge the past; others only judge the present."""

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Candles as CSV, CSV.gz or Parquet; FILE:BTC/USD names the symbol."),
]
Trades = Annotated[
    int, typer.Option("--trades", "-n", metavar="COUNT", min=0, help="Show at most the newest COUNT trades.")
]
CsvFlag = Annotated[bool, typer.Option("--csv", help="Print the trades as CSV.")]


def _option(flag: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=text)
    return option


SENTIMENT_HELP = f"Fear & Greed history, or FEAR, GREED or NEUTRAL throughout; default: {DEFAULT_SENTIMENT}."


@dataclass(frozen=True)
class StudyOptions:
    """The options that all studies share, as typed; None for an omitted one."""

    since: Annotated[str | None, _option("--from", "TIME", "Start of trading; ISO 8601, UTC.")] = None
    until: Annotated[str | None, _option("--to", "TIME", "End of trading; a date includes that day.")] = None
    sentiment: Annotated[str | None, _option("--sentiment", "FILE|STANCE", SENTIMENT_HELP)] = None
    cash: Annotated[str | None, _option("--cash", "AMOUNT", "Override INITIAL_BALANCE.")] = None
    trade_amount: Annotated[str | None, _option("--trade-amount", "AMOUNT", "Override TRADE_AMOUNT_USD.")] = None
    fee: Annotated[str | None, _option("--fee", "FRACTION", "Override FEE_RATE.")] = None
    slippage: Annotated[str | None, _option("--slippage", "FRACTION", "Override SLIPPAGE.")] = None
    atr_multiple: Annotated[str | None, _option("--atr-multiple", "NUMBER", "Override ATR_MULTIPLE.")] = None
    breakeven_atr: Annotated[str | None, _option("--breakeven-atr", "NUMBER", "Override BREAKEVEN_ATR.")] = None
    atr_period: Annotated[str | None, _option("--atr-period", "CANDLES", "Override ATR_PERIOD.")] = None
    max_open_trades: Annotated[str | None, _option("--max-open-trades", "COUNT", "Override MAX_OPEN_TRADES.")] = None
    cooldown: Annotated[str | None, _option("--cooldown", "MINUTES", "Override COOLDOWN_MINUTES.")] = None
    max_drawdown: Annotated[str | None, _option("--max-drawdown", "FRACTION", "Override MAX_DRAWDOWN.")] = None

    def given(self) -> dict[str, str]:
        """The options that were typed, by field name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def with_study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `options: StudyOptions` of a command by one option for each field, as Typer needs them."""
    parameters = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for own in signature(command).parameters.values()
        for parameter in (signature(StudyOptions).parameters.values() if own.name == "options" else (own,))
    ]

    @wraps(command)
    def run(**arguments: Any) -> None:
        options = StudyOptions(**{field.name: arguments.pop(field.name) for field in fields(StudyOptions)})
        command(options=options, **arguments)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@dataclass(frozen=True)
class Study:
    """What a study runs on."""

    histories: list[CandleColumns]
    sentiment: SentimentSeries
    settings: Settings
    values: dict[str, str]
    """The settings as texts, for a sweep to vary."""
    since: datetime | None
    until: datetime | None


def load_study(ctx: typer.Context, files: list[str], options: StudyOptions) -> Study:
    """Read the files, and the settings with these options. Raises BadValue, or ConfigError for settings."""
    overrides = check_overrides({name: text for name, text in options.given().items() if name in OVERRIDES})
    since, until = time_from("--from", options.since), _end_from(options.until)
    paths = [_file_and_symbol(text) for text in files]
    values = _strategy_values(ctx)  # before the files, which take longer to read
    parse_settings({**values, **overrides})
    sentiment = load_sentiment_option(DEFAULT_SENTIMENT if options.sentiment is None else options.sentiment)
    histories = [load_candles(path, symbol) for path, symbol in paths]
    values = {**values, **overrides, **_settings_of(histories)}
    return Study(histories, sentiment, parse_settings(values), values, since, until)


def check_output(ctx: typer.Context, as_csv: bool) -> None:
    if as_csv and wants_json(ctx):
        raise BadValue("--csv and --json exclude each other", hint="choose one of them")


def check_overrides(options: Mapping[str, str]) -> dict[str, str]:
    """Options as settings by name. Raises BadValue that names the option."""
    parsers = {setting.name: setting.parse for setting in SETTINGS}
    for name, text in options.items():
        flag = flag_of(name)
        try:
            parsers[OVERRIDES[name]](text.strip())
        except ValueError as error:
            raise BadValue(f"{flag} {text!r} {error}", hint=f"give another {flag}") from None
    return {OVERRIDES[name]: text for name, text in options.items()}


def flag_of(name: str) -> str:
    """The option of a field of StudyOptions."""
    return {"since": "--from", "until": "--to"}.get(name, f"--{name.replace('_', '-')}")


def _end_from(text: str | None) -> datetime | None:
    """The value of --to; a date without a time means its end."""
    until = time_from("--to", text)
    date_only = text is not None and len(text.strip()) <= len("2024-01-31")
    return until + timedelta(days=1) if until is not None and date_only else until


def load_sentiment_option(text: str) -> SentimentSeries:
    """The value of --sentiment: a stance, or a file. Raises BadValue."""
    if text.upper() in STANCES:
        return FixedSentiment(Stance(text.upper()))
    if not Path(text).exists():
        raise BadValue(f"--sentiment must be a file or one of {', '.join(STANCES)}, not {text!r}")
    return load_sentiment(Path(text))


def _file_and_symbol(text: str) -> tuple[Path, str | None]:
    """FILE, or FILE:BTC/USD."""
    file, colon, symbol = text.rpartition(":")
    if colon and "/" in symbol and not Path(text).exists():
        try:
            return Path(file), parse_symbol(symbol)
        except ValueError:  # a path with a colon; reading it reports that it does not exist
            pass
    return Path(text), None


def _strategy_values(ctx: typer.Context) -> dict[str, str]:
    """The strategy's settings from the environment and .env, without mode, keys, addresses and database."""
    values = load_sources(env_file_of(ctx)).values
    council = values.get("COUNCIL", COUNCIL).replace(" ", "")
    if values.get("COUNCIL_COMMAND") or council != COUNCIL:
        print(f"botctl: COUNCIL and COUNCIL_COMMAND are ignored: the agents are {COUNCIL}", file=sys.stderr)
    return {name: values[name] for name in OVERRIDES.values() if name in values}


def _settings_of(histories: list[CandleColumns]) -> dict[str, str]:
    """The settings that follow from the files."""
    return {
        "SYMBOLS": ",".join(history.symbol for history in histories),
        "QUOTE_CURRENCY": quote_of(histories[0].symbol),
        "TIMEFRAME": Timeframe.from_seconds(histories[0].seconds),
    }
