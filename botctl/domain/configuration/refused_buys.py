"""Why live mode buys nothing: it is not switched on, or its key may do too much."""

from collections.abc import Sequence

from botctl.domain.errors import ConfigError


def live_trading_disabled_error() -> ConfigError:
    """Why a live run may not buy."""
    return ConfigError(
        "live mode buys nothing while LIVE_TRADING is no; stops and the drawdown guard go on protecting what is open",
        hint="set LIVE_TRADING=yes once you mean real money",
    )


def withdraw_key_error(rights: Sequence[str]) -> ConfigError:
    """Why a key that may withdraw may not buy."""
    return ConfigError(
        f"the API key may withdraw ({', '.join(rights)}): botctl guards and sells, and buys nothing",
        hint="make a key without that right and run `botctl doctor`, or set ALLOW_WITHDRAW_KEY=yes",
    )
