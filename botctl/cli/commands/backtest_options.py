"""What the commands that study a history share: their files, their options, and the settings that these override."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from botctl.cli.context import env_file_of
from botctl.config import read_values
from botctl.domain.candles import CandleColumns
from botctl.domain.decisions import Stance
from botctl.domain.errors import BadValue
from botctl.domain.settings import SETTINGS, Settings, parse_settings
from botctl.domain.symbols import Timeframe, parse_symbol, quote_of

if TYPE_CHECKING:
    from botctl.domain.sentiment import SentimentSeries

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
"""Options by their parameter's name, and the settings that they override."""
USUAL_SENTIMENT = Stance.FEAR.value
STANCES = (Stance.FEAR, Stance.GREED, Stance.NEUTRAL)
SITTING = "technical,sentiment"
"""The agents whose rules are known for all times; others can only be asked about now."""


def _option(flag: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=text)
    return option


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...", help="CSV, CSV.gz or Parquet of candles, one symbol each; FILE:BTC/USD names the symbol."
    ),
]


@dataclass(frozen=True)
class StudyOptions:
    """The options that all studies share, as they were typed; None where one was left out."""

    since: Annotated[str | None, _option("--from", "TIME", "Trade from here on; ISO 8601, UTC.")] = None
    until: Annotated[str | None, _option("--to", "TIME", "Trade up to here; a bare date means its end.")] = None
    sentiment: Annotated[
        str | None,
        _option(
            "--sentiment",
            "FILE|STANCE",
            f"Fear & Greed history, or FEAR, GREED or NEUTRAL at all times; default: {USUAL_SENTIMENT}.",
        ),
    ] = None
    cash: Annotated[str | None, _option("--cash", "AMOUNT", "INITIAL_BALANCE: the cash to begin with.")] = None
    trade_amount: Annotated[
        str | None, _option("--trade-amount", "AMOUNT", "TRADE_AMOUNT_USD, in the files' quote.")
    ] = None
    fee: Annotated[str | None, _option("--fee", "FRACTION", "FEE_RATE.")] = None
    slippage: Annotated[str | None, _option("--slippage", "FRACTION", "SLIPPAGE.")] = None
    atr_multiple: Annotated[str | None, _option("--atr-multiple", "NUMBER", "ATR_MULTIPLE.")] = None
    breakeven_atr: Annotated[str | None, _option("--breakeven-atr", "NUMBER", "BREAKEVEN_ATR.")] = None
    atr_period: Annotated[str | None, _option("--atr-period", "CANDLES", "ATR_PERIOD.")] = None
    max_open_trades: Annotated[str | None, _option("--max-open-trades", "COUNT", "MAX_OPEN_TRADES.")] = None
    cooldown: Annotated[str | None, _option("--cooldown", "MINUTES", "COOLDOWN_MINUTES.")] = None
    max_drawdown: Annotated[str | None, _option("--max-drawdown", "FRACTION", "MAX_DRAWDOWN.")] = None

    def given(self) -> dict[str, str]:
        """Those that were typed, by their parameter's name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def with_study_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command for Typer that has the options of a study in the place of its parameter `options: StudyOptions`."""
    names = [field.name for field in fields(StudyOptions)]
    ours = signature(StudyOptions).parameters.values()
    own = signature(command).parameters.values()
    shown = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for one in own
        for parameter in (ours if one.name == "options" else (one,))
    ]

    @wraps(command)
    def parse(**given: Any) -> None:
        command(options=StudyOptions(**{name: given.pop(name) for name in names}), **given)

    parse.__signature__ = Signature(shown)  # type: ignore[attr-defined]
    parse.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return parse


@dataclass(frozen=True)
class Study:
    """A history to be studied, and the terms of it."""

    histories: list[CandleColumns]
    sentiment: "SentimentSeries"
    settings: Settings
    values: dict[str, str]
    """The settings as texts, for who varies them."""
    since: datetime | None
    until: datetime | None


def load_study(ctx: typer.Context, files: list[str], options: StudyOptions) -> Study:
    """Read the files, and the settings under these options. Raises BadValue, or ConfigError for settings."""
    from botctl.market_data.history import load_candles

    overrides = check_overrides({name: text for name, text in options.given().items() if name in OVERRIDES})
    span = moment_from("--from", options.since), moment_from("--to", options.until)
    named = [_file_and_symbol(text) for text in files]
    values = _strategy_values(ctx)  # before the files, which take longer to read
    parse_settings({**values, **overrides})
    sentiment = sentiment_from(USUAL_SENTIMENT if options.sentiment is None else options.sentiment)
    histories = [load_candles(path, symbol) for path, symbol in named]
    all_values = {**values, **overrides, **_told_by(histories)}
    return Study(histories, sentiment, parse_settings(all_values), all_values, *span)


def check_overrides(options: Mapping[str, str]) -> dict[str, str]:
    """Options as settings by their names. Raises BadValue that names the option."""
    parsers = {setting.name: setting.parse for setting in SETTINGS}
    for name, text in options.items():
        flag = flag_of(name)
        try:
            parsers[OVERRIDES[name]](text.strip())
        except ValueError as error:
            raise BadValue(f"{flag} {text!r} {error}", hint=f"give another {flag}") from None
    return {OVERRIDES[name]: text for name, text in options.items()}


def flag_of(name: str) -> str:
    """The option that fills this field of StudyOptions."""
    return {"since": "--from", "until": "--to"}.get(name, f"--{name.replace('_', '-')}")


def moment_from(flag: str, text: str | None) -> datetime | None:
    """A --from or --to as a moment in UTC. Raises BadValue."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadValue(f"{flag} {text!r} is no time", hint="write it like 2024-01-31 or 2024-01-31T12:00") from None
    return moment + timedelta(days=1) if flag == "--to" and len(text.strip()) <= len("2024-01-31") else moment


def sentiment_from(text: str) -> "SentimentSeries":
    """A --sentiment: a stance for all times, or a file. Raises BadValue."""
    from botctl.domain.sentiment import FixedSentiment
    from botctl.market_data.history import load_sentiment

    if text.upper() in STANCES:
        return FixedSentiment(Stance(text.upper()))
    if not Path(text).exists():
        raise BadValue(f"--sentiment {text!r} is neither a file nor {', '.join(STANCES)}", hint="give one of them")
    return load_sentiment(Path(text))


def _file_and_symbol(text: str) -> tuple[Path, str | None]:
    """FILE, or FILE:BTC/USD where the name tells no symbol or another is meant."""
    file, colon, symbol = text.rpartition(":")
    if colon and "/" in symbol and not Path(text).exists():
        try:
            return Path(file), parse_symbol(symbol)
        except ValueError:
            pass
    return Path(text), None


def _strategy_values(ctx: typer.Context) -> dict[str, str]:
    """What the environment and .env say of the strategy. Mode, keys, addresses and database play no part here."""
    _, _, values = read_values(env_file_of(ctx))
    council = values.get("COUNCIL", SITTING).replace(" ", "")
    if values.get("COUNCIL_COMMAND") or council != SITTING:
        print(f"botctl: {SITTING} sit here, whatever COUNCIL and COUNCIL_COMMAND say", file=sys.stderr)
    return {name: values[name] for name in OVERRIDES.values() if name in values}


def _told_by(histories: list[CandleColumns]) -> dict[str, str]:
    """The settings that the files themselves tell."""
    return {
        "SYMBOLS": ",".join(history.symbol for history in histories),
        "QUOTE_CURRENCY": quote_of(histories[0].symbol),
        "TIMEFRAME": Timeframe.from_seconds(histories[0].seconds),
    }
