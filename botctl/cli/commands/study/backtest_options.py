"""Files and options of backtest, replay, sweep and report, and the settings that the options override."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from botctl.backtesting.backtest import Backtest, Run
from botctl.backtesting.results import BacktestView
from botctl.cli.context import env_file_of, symbol_from, time_from, wants_json
from botctl.cli.output import progress_bar, show
from botctl.cli.study_council import COUNCIL_SETTINGS, StudyCouncil, seat_council
from botctl.cli.views.backtest import draw_backtest, show_csv
from botctl.config import load_sources
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import SETTINGS, Settings, parse_settings
from botctl.domain.decisions import Stance
from botctl.domain.errors import BadValue, ConfigError
from botctl.domain.sentiment import FixedSentiment, SentimentSeries
from botctl.domain.symbols import Timeframe, problem_with_signals, quote_of
from botctl.files import why_unreadable
from botctl.market_data.history import load_candles, load_sentiment

OVERRIDES = {
    "signal_timeframe": ("SIGNAL_TIMEFRAME", "TIMEFRAME"),
    "cash": ("INITIAL_BALANCE", "AMOUNT"),
    "trade_amount": ("TRADE_AMOUNT_USD", "AMOUNT"),
    "sizing": ("SIZING", "fixed|risk"),
    "risk_per_trade": ("RISK_PER_TRADE", "FRACTION"),
    "max_trade_amount": ("MAX_TRADE_AMOUNT", "AMOUNT"),
    "max_exposure": ("MAX_EXPOSURE", "FRACTION"),
    "allocation": ("ALLOCATION", "ASSET:FRACTION,..."),
    "compound": ("COMPOUND", ""),  # a flag
    "fee": ("FEE_RATE", "RATE|TIER"),
    "slippage": ("SLIPPAGE", "FRACTION"),
    "exit_slippage": ("EXIT_SLIPPAGE", "FRACTION"),
    "atr_multiple": ("ATR_MULTIPLE", "NUMBER"),
    "breakeven_atr": ("BREAKEVEN_ATR", "NUMBER"),
    "breakeven_fees": ("BREAKEVEN_FEES", "yes|no"),
    "min_stop_costs": ("MIN_STOP_COSTS", "NUMBER"),
    "exchange_stop": ("EXCHANGE_STOP", ""),  # a flag and its opposite
    "exchange_stop_atr": ("EXCHANGE_STOP_ATR", "NUMBER"),
    "atr_period": ("ATR_PERIOD", "CANDLES"),
    "max_open_trades": ("MAX_OPEN_TRADES", "COUNT"),
    "cooldown": ("COOLDOWN_MINUTES", "MINUTES"),
    "max_drawdown": ("MAX_DRAWDOWN", "FRACTION"),
    "max_drawdown_peak": ("MAX_DRAWDOWN_PEAK", "FRACTION"),
}
"""Options by their parameter: the setting that each overrides, and what it takes."""
FLAGS = {"compound": {True: "yes"}, "exchange_stop": {True: "on", False: "off"}}
"""Those that take nothing, with what the flag and its opposite mean: without either the setting counts."""
OVERRIDDEN = tuple(setting for setting, _ in OVERRIDES.values())
DEFAULT_SENTIMENT = Stance.FEAR.value
STANCES = (Stance.FEAR, Stance.GREED, Stance.NEUTRAL)

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Candles as CSV, CSV.gz or Parquet; FILE:BTC/USD names the symbol."),
]
Trades = Annotated[
    int, typer.Option("--trades", "-n", metavar="COUNT", min=0, help="Show at most the newest COUNT trades.")
]
CsvFlag = Annotated[bool, typer.Option("--csv", help="Print the trades as CSV.")]


def _override_option(name: str, setting: str, metavar: str) -> Any:
    """The option of a setting: what the setting means, and the setting as the default."""
    known = next(each for each in SETTINGS if each.name == setting)
    meaning = HELPS.get(setting, re.sub("[;,] default: .*", "", known.meaning))
    flag = f"--{name.replace('_', '-')}"
    if False in FLAGS.get(name, {}):
        flag = f"{flag}/--no{flag[1:]}"
    default = setting if (text := DEFAULTS.get(setting, known.default)) is None else f"{setting}, else {text}"
    return typer.Option(flag, metavar=metavar or None, show_default=default, help=f"{meaning[0].upper()}{meaning[1:]}.")


HELPS = {
    "COMPOUND": "scale TRADE_AMOUNT_USD with the equity",
    "EXCHANGE_STOP": "a stop rests at the exchange, below the one that each candle checks",
    "INITIAL_BALANCE": "cash at the start, in quote currency",
    "TRADE_AMOUNT_USD": "cost of an entry, in quote currency",
    "FEE_RATE": "fee of an order: a fraction of its cost, or tier1 to tier9 of Kraken",
    "SLIPPAGE": "how much worse a buy fills, as a fraction of the price",
    "EXIT_SLIPPAGE": "the same of a sell",
    "COOLDOWN_MINUTES": "minutes after an exit without an entry of the asset",
    "MAX_OPEN_TRADES": "no entry while this many trades are open",
    "MAX_DRAWDOWN": "fraction of the start that may be lost before everything is sold",
    "MAX_DRAWDOWN_PEAK": "the same of the highest equity so far",
    "SIZING": "fixed: an entry costs --trade-amount; risk: its stop loses --risk-per-trade",
    "RISK_PER_TRADE": "fraction of the equity that a stop loses, such as 0.005 or 0.5%",
}
"""Where the meaning of the setting does not fit a study."""
DEFAULTS = {
    "INITIAL_BALANCE": "10000",
    "EXIT_SLIPPAGE": "three times SLIPPAGE",
    "MAX_DRAWDOWN_PEAK": "no limit",
    "MAX_EXPOSURE": "no limit",
    "MAX_TRADE_AMOUNT": "no limit",
    "ALLOCATION": "no limit",
    "SIGNAL_TIMEFRAME": "that of the files",
}
"""What counts where the setting has no default of its own."""
SENTIMENT_HELP = "A file of the Fear & Greed index, or FEAR, GREED or NEUTRAL for the whole time."
STUDY_OPTIONS = {
    "symbol": typer.Option(
        "--symbol", metavar="SYMBOL", show_default="from the name of FILE", help="The symbol of FILE, such as BTC/USD."
    ),
    "since": typer.Option(
        "--from", metavar="TIME", show_default="the first candle", help="When trading starts, in UTC: 2024-01-31."
    ),
    "until": typer.Option(
        "--to", metavar="TIME", show_default="the last candle", help="When it ends; a date includes that day."
    ),
    "sentiment": typer.Option(
        "--sentiment", metavar="FILE|STANCE", show_default=DEFAULT_SENTIMENT, help=SENTIMENT_HELP
    ),
    "cache": typer.Option(
        "--cache",
        metavar="FILE",
        show_default="ask each time",
        help="Keep the answers of COUNCIL_COMMAND in this file, and ask each question once.",
    ),
    "decisions": typer.Option(
        "--decisions",
        metavar="FILE",
        show_default="the Council decides",
        help="Trade the decisions that were recorded in this database.",
    ),
    **{name: _override_option(name, *what) for name, what in OVERRIDES.items()},
}
"""The options that all studies share, by parameter."""

type StudyOptions = dict[str, str]
"""The texts of those that were typed."""


def with_study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `options: StudyOptions` of a command by STUDY_OPTIONS, as Typer needs them."""
    shared = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[bool | None, option] if name in FLAGS else Annotated[str | None, option],
        )
        for name, option in STUDY_OPTIONS.items()
    ]
    parameters = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for own in signature(command).parameters.values()
        for parameter in (shared if own.name == "options" else (own,))
    ]

    @wraps(command)
    def run(**arguments: Any) -> None:
        texts = {name: arguments.pop(name) for name in STUDY_OPTIONS}
        texts |= {name: meanings.get(texts[name]) for name, meanings in FLAGS.items()}
        command(options={name: text for name, text in texts.items() if text is not None}, **arguments)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@dataclass(frozen=True)
class Study:
    histories: list[CandleColumns]
    sentiment: SentimentSeries
    settings: Settings
    values: dict[str, str]
    """The settings as texts, for a sweep to vary."""
    since: datetime | None
    until: datetime | None
    council: StudyCouncil

    def backtest(self, ctx: typer.Context) -> Run:
        source, span = self.council.source, {"since": self.since, "until": self.until}
        backtest = Backtest(self.histories, self.settings, self.sentiment, **span, council=source)
        if source is None:
            return backtest.run()
        with progress_bar(ctx, "asking the Council") as progress:
            return backtest.run(progress)


def load_study(ctx: typer.Context, files: list[str], options: StudyOptions) -> Study:
    """Read the files, and the settings with these options. Raises BadValue, or ConfigError for settings."""
    overrides = _check_overrides(options)
    since, until = time_from("--from", options.get("since")), _end_from(options.get("until"))
    if since is not None and until is not None and since >= until:
        problem = f"--from {options['since']} must be before --to {options['until']}"
        raise BadValue(problem, hint="correct one of them")
    paths = _files_and_symbols(ctx, files, options.get("symbol"))
    values = _strategy_values(ctx)  # before the files, which take longer to read
    _check_together(values, overrides)
    sentiment = load_sentiment_option(options.get("sentiment", DEFAULT_SENTIMENT))
    histories = [load_candles(path, symbol) for path, symbol in paths]
    values = {**values, **overrides, **_settings_of(histories)}
    _check_signals(values)
    settings = parse_settings(values)
    return Study(histories, sentiment, settings, values, since, until, seat_council(ctx, settings, options))


def _check_together(values: dict[str, str], overrides: dict[str, str]) -> None:
    """Raises ConfigError for settings that are wrong, or do not go together with these options."""
    try:
        parse_settings({"TIMEFRAME": Timeframe.MINUTE, **values, **overrides})  # the real one is that of the files
    except ConfigError as error:
        # an option is right by itself when it gets here: only these can contradict each other
        by_option = {"SIZING", "RISK_PER_TRADE", "MAX_DRAWDOWN"} & {*overrides}
        if not by_option or "RISK_PER_TRADE" not in error.message:
            raise
        raise ConfigError(error.message, hint="give another --risk-per-trade, below --max-drawdown") from error


def _check_signals(values: dict[str, str]) -> None:
    """Raises ConfigError when SIGNAL_TIMEFRAME does not go with the files, whose length no setting can change."""
    signals, timeframe = values.get("SIGNAL_TIMEFRAME", "").strip(), values["TIMEFRAME"]
    if signals and (misfit := problem_with_signals(Timeframe(signals), Timeframe(timeframe))) is not None:
        raise ConfigError(misfit, hint=f"add --signal-timeframe {timeframe}, or one longer than the files'")


def show_backtest(ctx: typer.Context, view: BacktestView, trades: int, as_csv: bool) -> None:
    if as_csv:
        show_csv(view)
    else:
        show(ctx, view, partial(draw_backtest, max_trades=trades), name_mode=False)


def check_output(ctx: typer.Context, as_csv: bool) -> None:
    if as_csv and wants_json(ctx):
        raise BadValue("--csv and --json can't be used together", hint="choose one of them")


def _check_overrides(options: StudyOptions) -> dict[str, str]:
    """The options that override settings, by setting. Raises BadValue that names the option."""
    parsers = {setting.name: setting.parse for setting in SETTINGS}
    overrides = {OVERRIDES[name][0]: (flag_of(name), text) for name, text in options.items() if name in OVERRIDES}
    for setting, (flag, text) in overrides.items():
        try:
            parsers[setting](text.strip())
        except ValueError as error:
            raise BadValue(f"{flag} {text!r:.60} {error}", hint=f"give another {flag}") from None
    return {setting: text for setting, (_, text) in overrides.items()}


def flag_of(name: str) -> str:
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
    if why := why_unreadable(Path(text)):
        raise BadValue(f"--sentiment must be a file or one of {', '.join(STANCES)}", hint=why)
    return load_sentiment(Path(text))


def _files_and_symbols(ctx: typer.Context, files: list[str], symbol: str | None) -> list[tuple[Path, str | None]]:
    """Each file with its symbol, written beside it or as --symbol, which is for one file. Raises BadValue."""
    paths = [_file_and_symbol(ctx, text) for text in files]
    for path, _ in paths:
        if why := why_unreadable(path):
            raise BadValue(why, hint="give a file of candles")
    if symbol is None:
        return paths
    if len(paths) > 1 or paths[0][1] is not None:
        raise BadValue(
            "--symbol is for one FILE without a symbol", hint="write each symbol after its file: FILE:BTC/USD"
        )
    return [(paths[0][0], symbol_from(ctx, symbol))]


def _file_and_symbol(ctx: typer.Context, text: str) -> tuple[Path, str | None]:
    """FILE, or FILE:BTC/USD. Else a path with a colon, of which reading it says that it does not exist."""
    file, colon, symbol = text.rpartition(":")
    if colon and why_unreadable(Path(text)) and ("/" in symbol or not why_unreadable(Path(file))):
        with suppress(BadValue):
            return Path(file), symbol_from(ctx, symbol)
    return Path(text), None


def _strategy_values(ctx: typer.Context) -> dict[str, str]:
    """The strategy's settings from the environment and .env, without mode, keys, addresses and database."""
    values = load_sources(env_file_of(ctx)).values
    return {name: values[name] for name in (*OVERRIDDEN, *COUNCIL_SETTINGS) if name in values}


def _settings_of(histories: list[CandleColumns]) -> dict[str, str]:
    """The settings that follow from the files."""
    return {
        "SYMBOLS": ",".join(history.symbol for history in histories),
        "QUOTE_CURRENCY": quote_of(histories[0].symbol),
        "TIMEFRAME": Timeframe.from_seconds(histories[0].seconds),
    }
