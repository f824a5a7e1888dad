"""The fields of every JSON document, as section 8 of the design lists them."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRADE = words(
    "id symbol asset mode status amount entry_price entry_cost entry_fee entry_time entry_order_id atr "
    "initial_stop_loss_price stop_loss_price high_price exit_price exit_fee exit_time exit_order_id exit_reason pnl "
    "r_multiple resting_trigger unprotected"
)
STATUS = words(
    "mode system_status frozen buy_enabled is_trading_active tripped_at initial_balance equity drawdown "
    "drawdown_peak open_trades "
    "unsettled_orders "
    "last_tick_at last_tick_ok missed_ticks scheduled_by overdue resting_stops unprotected "
    "home quote_currency at switch positions equity_at equity_curve base max_drawdown max_drawdown_peak cash "
    "last_tick_exit_code last_tick_error next_tick_at tick_seconds exchange_stop alarms"
)
ORDER = words(
    "id client_order_id exchange_order_id trade_id side symbol state amount cost filled average_price fee deadline "
    "created_at error trigger"
)
BALANCE = words("currency total free value")
DEMO = words("ticks trades equity initial_balance decisions council verdicts errors")
TICK = words("at mode ok steps exits entries decisions equity drawdown drawdown_peak errors stops")
STEP = words("name ok detail")
BACKTEST = words(
    "symbols seconds signal_seconds since until bars mood initial_balance equity returned buy_and_hold max_drawdown "
    "sharpe sortino win_rate profit_factor exposure fees tripped_at trades equity_curve absent_candles council "
    "exchange_stop_atr refused expectancy_r invested invested_held by_symbol by_exit_reason best_trade "
    "worst_trade errors"
)
BACKTEST_TRADE = words(
    "symbol entry_time amount entry_price entry_cost entry_fee atr initial_stop_loss_price stop_loss_price "
    "high_price exit_time exit_price exit_proceeds exit_fee exit_reason by_resting_stop pnl r_multiple"
)
REPLAY = BACKTEST | words("ticks failed_ticks")
SWEEP = words("sets by train best verdict warnings")
SWEEP_ROW = words("settings train test neighbours neighbours_low neighbours_high")
SWEEP_FIGURES = words("trades returned max_drawdown sharpe")
FETCH = words("symbol timeframe file fetched added candles first last oldest_told gaps changed")
GAP = words("since until candles")
SCHEDULE = words(
    "kind installed current home every delay_seconds files others backup changed notes last_tick_at overdue unguarded"
)
EVENT = words("id at kind trade_id symbol before after why")
STORY = words("trade steps fees slippage_cost")
STORY_STEP = words("at kind detail price stop_loss_price client_order_id")
CONFIG = words("name value source file")
MIGRATE = words("database schema_before schema")
BACKUP = words("database file bytes")
CHECK = words("name status detail fix")
COPY = words("database to rows tables next")
COPIED_TABLE = words("table rows checksum")
REPORT = words("file png trades trades_drawn")
SERVE = words("url")
NOTIFY = words("service ok detail")
ERROR = words("error category retryable hint")

RECONCILE = words("since same orders positions foreign_orders")
RECONCILED_ORDER = words(
    "trade_id symbol role client_order_id exchange_order_id journal_state exchange_state journal_filled "
    "exchange_filled journal_cost exchange_cost journal_fee exchange_fee same verdict"
)
RECONCILED_POSITION = words("trade_id symbol asset held exchange_held balance same verdict")
RECOVER = words("since applied database actions same_trades foreign_orders damaged_file notes errors")
RECOVER_ACTION = words("trade_id symbol action database amount entry_price stop_loss_price detail")

WHOLE = words(
    "id trade_id ticks open_trades resting_stops unsettled_orders missed_ticks same_trades foreign_orders rows bytes "
    "BUY SELL HOLD "
    "BULLISH BEARISH NEUTRAL FEAR GREED UNKNOWN "
    "schema_before schema delay_seconds tick_seconds last_tick_exit_code"
)
"""The only fields that are numbers in JSON."""
MONEY = words(
    "amount entry_price entry_cost entry_fee exit_price exit_fee pnl r_multiple atr initial_stop_loss_price "
    "stop_loss_price resting_trigger high_price price equity "
    "initial_balance base drawdown drawdown_peak max_drawdown max_drawdown_peak "
    "cost filled average_price fee total free value unrealized_pnl net_pnl break_even_price stop_distance pnl_at_stop "
    "trigger cash "
    "journal_filled exchange_filled journal_cost exchange_cost journal_fee exchange_fee held exchange_held balance"
)
COMMANDS = words(
    "tick buy sell check-positions drawdown liquidate forget resting-stops pause resume status positions trades orders "
    "why balance "
    "notify reconcile recover init demo doctor fetch backtest replay sweep report serve schedule config "
    "explain log db agent help"
)
SUBCOMMANDS = (
    "schedule show",
    "schedule install",
    "schedule remove",
    "config show",
    "config check",
    "agent new",
    "agent test",
)
EXIT_CODES = (0, 1, 2, 3, 4, 69, 75, 78)
