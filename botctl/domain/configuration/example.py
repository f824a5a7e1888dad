"""The text of .env.example, and of the .env that `init` writes."""

from collections.abc import Mapping

from botctl.domain.configuration.settings import SETTINGS, Mode
from botctl.domain.symbols import Timeframe

WHY_4H = [
    "# On five years of real candles (BTC/USD, 2018 to 2023) the shipped rule loses before fees at 1h, and does not at",
    "# 4h; after fees of 0.80 % it loses at both. See docs/BACKTEST.md.",
]
"""Why `init` writes SIGNAL_TIMEFRAME=4h where prices are real."""
WHY_ON = [
    "# Between two ticks, and while this machine is off, the stop at Kraken is all that guards a position. It lies",
    "# EXCHANGE_STOP_ATR below the stop that ticks check, and costs one request a tick. See docs/rules.md.",
]
"""Why `init` writes EXCHANGE_STOP=on where money is real."""
REASONS = {"SIGNAL_TIMEFRAME": WHY_4H, "EXCHANGE_STOP": WHY_ON}


def example_env(mode: Mode = Mode.DEMO, answers: Mapping[str, str] | None = None) -> str:
    """The text of .env.example: every setting with its default, commented out where it has none. With real prices the
    signals are of four hours; with real money a stop rests at Kraken. `answers` are values by
    name that were chosen otherwise."""
    lines = ["# Settings of botctl. The environment wins over this file. `botctl doctor` checks them.", ""]
    chosen = {"BOTCTL_MODE": mode.value}
    if mode in (Mode.PAPER, Mode.LIVE):
        chosen["SIGNAL_TIMEFRAME"] = Timeframe.HOURS_4
    if mode is Mode.LIVE:
        chosen["EXCHANGE_STOP"] = "on"
    chosen |= answers or {}
    for setting in SETTINGS:
        value = chosen.get(setting.name, setting.default)
        reasons = REASONS[setting.name] if setting.name in chosen and setting.name in REASONS else []
        lines += [
            f"# {setting.meaning}",
            *reasons,
            f"#{setting.name}=" if value is None else f"{setting.name}={value}",
            "",
        ]
    return "\n".join(lines)
