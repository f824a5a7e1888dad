"""A result as JSON: which fields, under which names, in which order."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from botctl.backtesting.results import BacktestTrade
from botctl.domain.serialization import to_json
from botctl.queries.positions import LivePosition, TradeRecord

AT = datetime(2026, 1, 2, tzinfo=UTC)
TRADE = (
    "id symbol asset mode status amount entry_price entry_cost entry_fee entry_time entry_order_id atr "
    "initial_stop_loss_price stop_loss_price high_price exit_price exit_fee exit_time exit_order_id exit_reason pnl "
    "r_multiple resting_trigger unprotected"
)
BACKTEST_TRADE = (
    "symbol entry_time amount entry_price entry_cost entry_fee atr initial_stop_loss_price stop_loss_price "
    "high_price exit_time exit_price exit_proceeds exit_fee exit_reason by_resting_stop pnl r_multiple"
)
BOUGHT: dict[str, Any] = {
    "id": 7,
    "symbol": "BTC/USD",
    "asset": "BTC",
    "mode": "demo",
    "status": "OPEN",
    "amount": Decimal("0.5"),
    "entry_price": Decimal(200),
    "entry_cost": Decimal(100),
    "entry_fee": Decimal("0.26"),
    "entry_time": AT,
    "atr": 10.0,
    "stop_loss_price": 180.0,
    "high_price": 1e-7,
}


def test_a_trade_is_written_with_its_public_names_in_their_order() -> None:
    written = to_json(TradeRecord(**BOUGHT))

    assert " ".join(written) == TRADE
    assert (written["entry_time"], written["exit_time"]) == ("2026-01-02T00:00:00.000Z", None)
    assert (written["id"], written["amount"], written["high_price"]) == (7, "0.5", "0.0000001")


def test_a_position_is_a_trade_and_its_price() -> None:
    written = to_json(LivePosition(TradeRecord(**BOUGHT), Decimal(210), Decimal(5), Decimal(3), Decimal(204)))

    assert " ".join(written) == f"{TRADE} price unrealized_pnl net_pnl break_even_price"


def test_a_trade_of_a_backtest_is_written_with_fewer_fields_and_names_of_its_own() -> None:
    written = to_json(BacktestTrade(**BOUGHT, exit_time=AT))

    assert " ".join(written) == BACKTEST_TRADE
    assert written["entry_time"] == written["exit_time"] == "2026-01-02T00:00:00.000Z"
    assert json.loads(json.dumps(written)) == written
