"""The tables. Unique indexes forbid a second active trade of an asset, and a second unsettled or resting order of a
trade."""

from decimal import Decimal
from functools import cache
from typing import Any, Self

from peewee import (
    SQL,
    AutoField,
    BooleanField,
    DatabaseProxy,
    FloatField,
    ForeignKeyField,
    IntegerField,
    Model,
    ModelSelect,
    SqliteDatabase,
)

from botctl.domain.orders import OrderState, TradeStatus
from botctl.store.fields import (
    TextField,
    decimal_field,
    json_field,
    optional_decimal_field,
    optional_utc_field,
    utc_field,
)

database = DatabaseProxy()
"""This process's database, set by `store.database.open_database`."""


def new_trade_tag() -> str:
    """A random tag, unique among the trades of all databases."""
    import secrets

    from botctl.domain.client_order_ids import TAG_BITS, format_trade_tag

    return format_trade_tag(secrets.randbits(TAG_BITS))


def on_server() -> bool:
    return database.obj is not None and not isinstance(database.obj, SqliteDatabase)


class WholeRows(ModelSelect):
    """A query for all columns. Their names are put together once: for a trade this takes peewee 0.2 ms each time."""

    def __init__(self, table: type[Model]) -> None:
        super().__init__(table, table._meta.sorted_fields, is_default=True)
        self._all = self.selected_columns

    def __sql_selection__(self, ctx: Any, is_subquery: bool = False) -> Any:
        if is_subquery or self.selected_columns is not self._all:
            return super().__sql_selection__(ctx, is_subquery)
        return ctx.literal(all_columns(self.model, ctx.alias_manager[self.model._meta.table]))


@cache
def all_columns(table: type[Model], alias: str) -> str:
    return ", ".join(f'"{alias}"."{field.column_name}"' for field in table._meta.sorted_fields)


class Table(Model):
    id = AutoField()

    class Meta:
        database = database

    @classmethod
    def select(cls, *fields: Any) -> "ModelSelect[Self]":
        whole: Any = WholeRows
        return super().select(*fields) if fields else whole(cls)


class DatabaseInfo(Table):
    """One row: mode and schema. Not in SystemConfig, so that a broken switch can't hide the mode."""

    mode = TextField()
    schema_version = IntegerField()
    created_at = utc_field()

    class Meta:
        table_name = "stamp"


class SystemConfig(Table):
    """The kill switch, which other programs may read and set: system_status, frozen, buy_enabled, tripped_at."""

    key = TextField(unique=True)
    value = TextField()
    updated_at = utc_field()


class Trade(Table):
    """A trade from entry to exit. Money is text, prices of the stop rule are float64."""

    symbol = TextField()
    asset = TextField()
    mode = TextField()
    status = TextField(default=TradeStatus.PENDING)
    created_at = utc_field()
    amount = decimal_field()
    """Ordered while PENDING, held while OPEN, sold once CLOSED; in the asset."""
    entry_amount = optional_decimal_field()
    entry_price = optional_decimal_field()
    entry_cost = optional_decimal_field()
    entry_fee = optional_decimal_field()
    entry_time = optional_utc_field()
    entry_order_id = TextField(null=True)
    atr = FloatField(null=True)
    stop_loss_price = FloatField(null=True)
    high_price = FloatField(null=True)
    checked_at = optional_utc_field()
    """The last stop check: a late tick replays the closes since then."""
    exiting = TextField(null=True)
    """The reason of an exit that has begun: every check sells until nothing is left."""
    sold_amount = decimal_field(default=Decimal(0))
    exit_proceeds = decimal_field(default=Decimal(0))
    exit_price = optional_decimal_field()
    exit_fee = decimal_field(default=Decimal(0))
    exit_time = optional_utc_field()
    exit_order_id = TextField(null=True)
    exit_reason = TextField(null=True)
    pnl = optional_decimal_field()
    mark = TextField(unique=True, default=new_trade_tag)
    """A tag in the client order ids of its orders, which identifies them in the exchange's records."""
    seen_at = optional_utc_field()
    """The exchange's time of the price that the last stop check saw, where it told: no clock of ours is in it."""
    initial_stop_loss_price = FloatField(null=True)
    """The stop that the entry began with, from which R multiples are measured; NULL where it is not known."""


class Order(Table):
    """The order journal: recorded before the request is sent, and never deleted."""

    client_order_id = TextField(unique=True)
    exchange_order_id = TextField(null=True)
    trade = ForeignKeyField(Trade, backref="orders")
    trade_id: int
    side = TextField()
    symbol = TextField()
    state = TextField(default=OrderState.INTENDED)
    reason = TextField(null=True)
    """Why it sells; NULL for an entry."""
    whole = BooleanField(default=True)
    """Whether a sell is for all that is left of the trade."""
    amount = decimal_field()
    cost = optional_decimal_field()
    filled = decimal_field(default=Decimal(0))
    average_price = optional_decimal_field()
    fee = optional_decimal_field()
    deadline = utc_field()
    """In exchange time."""
    created_at = utc_field()
    settled_at = optional_utc_field()
    error = TextField(null=True)
    error_class = TextField(null=True)
    """The name of the error's class in `domain.errors`."""
    inexact = BooleanField(default=False)
    """Whether cost and fee are estimates from the exchange's record of the order: its fills are fetched again."""
    trigger = optional_decimal_field()
    """Of a stop that rests at the exchange: the price that sets it off. NULL for a market order."""


class Decision(Table):
    """A decision of the Council, with its verdicts and outcome."""

    symbol = TextField(index=True)
    decided_at = utc_field()
    decision = TextField()
    reason = TextField()
    verdicts = json_field()
    outcome = TextField(default="")
    price = optional_decimal_field()
    trade_id = IntegerField(null=True, index=True)


class Tick(Table):
    at = utc_field(index=True)
    seconds = FloatField()
    ok = BooleanField()
    exit_code = IntegerField()
    steps = json_field()
    equity = optional_decimal_field()
    drawdown = optional_decimal_field()
    drawdown_peak = optional_decimal_field()


class Event(Table):
    """The audit trail: each change of a trade or of the switch, with before, after and why."""

    at = utc_field()
    kind = TextField()
    trade_id = IntegerField(null=True, index=True)
    order_id = IntegerField(null=True)
    before = json_field()
    after = json_field()
    why = TextField()
    price = optional_decimal_field()
    """The price that moved the high or the stop, or hit the stop."""


class KeyValue(Table):
    """Values kept between runs: caches, the last nonce, the rate counter, the demo's position."""

    key = TextField()
    value = TextField()
    saved_at = utc_field()

    class Meta:
        table_name = "memory"


class PaperHolding(Table):
    currency = TextField(unique=True)
    total = decimal_field()


class PaperOrder(Table):
    """An order at the paper broker, always filled completely."""

    exchange_order_id = TextField(unique=True)
    client_order_id = TextField(index=True)
    side = TextField()
    symbol = TextField()
    amount = decimal_field()
    cost = decimal_field()
    fee = decimal_field()
    at = utc_field()


class PaperStop(Table):
    """A stop that rests at the paper broker. Once it has fired, its fill is a PaperOrder with the same ids."""

    exchange_order_id = TextField(unique=True)
    client_order_id = TextField(index=True)
    symbol = TextField()
    amount = decimal_field()
    trigger = decimal_field()
    opened_at = utc_field()
    checked_at = utc_field()
    """The end of the newest candle that did not set it off."""
    ended_at = optional_utc_field()


class Alarm(Table):
    """A reported problem, until an hour after its end."""

    key = TextField(unique=True)
    text = TextField()
    since = utc_field()
    said_at = utc_field()
    times = IntegerField()
    size = IntegerField()
    told = BooleanField()
    over_at = optional_utc_field()


class Outgoing(Table):
    """A message that has not been delivered yet."""

    channel = TextField(index=True)
    """A digest of the address, which is a secret."""
    level = IntegerField()
    text = TextField()
    written_at = utc_field()
    claimed_until = optional_utc_field()
    """A run is sending it; if that run dies, others may send it from then on."""


TABLES = (
    DatabaseInfo, SystemConfig, Trade, Order, Decision, Tick, Event, KeyValue,
    PaperHolding, PaperOrder, PaperStop, Alarm, Outgoing,
)  # fmt: skip

TABLES_LOCKED_FOR_WRITES = (SystemConfig, Trade, Order)
"""The pre-trade checks read these: the switch, and other trades and orders."""

ACTIVE_TRADES = SQL("status IN ('PENDING', 'OPEN')")
UNSETTLED_ORDERS = SQL("state IN ('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED')")
RESTING_ORDERS = SQL("state = 'RESTING'")
INEXACT_ORDERS = SQL("inexact")
UNKNOWN_STATUSES = SQL("status NOT IN ('PENDING', 'OPEN', 'CLOSED', 'FAILED')")
UNKNOWN_STATES = SQL(
    "state NOT IN "
    "('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED', 'RESTING', 'FILLED', 'CANCELED', 'REJECTED', 'ABSENT')"
)
"""The conditions of the partial indexes. SQLite uses such an index only for a query with exactly its text, so they are
not built from bound values."""

Trade.add_index(SQL(f"CREATE UNIQUE INDEX one_active_trade_per_asset ON trade (asset) WHERE {ACTIVE_TRADES.sql}"))
Trade.add_index(SQL(f"CREATE INDEX trade_active ON trade (status) WHERE {ACTIVE_TRADES.sql}"))
Trade.add_index(SQL("CREATE INDEX trade_asset_closed ON trade (asset, exit_time)"))
Order.add_index(
    SQL(f'CREATE UNIQUE INDEX one_unsettled_order_per_trade ON "order" (trade_id) WHERE {UNSETTLED_ORDERS.sql}')
)
Order.add_index(SQL(f'CREATE INDEX order_unsettled ON "order" (state) WHERE {UNSETTLED_ORDERS.sql}'))
Order.add_index(
    SQL(f'CREATE UNIQUE INDEX one_resting_order_per_trade ON "order" (trade_id) WHERE {RESTING_ORDERS.sql}')
)
Order.add_index(SQL(f'CREATE INDEX order_resting ON "order" (state) WHERE {RESTING_ORDERS.sql}'))
Order.add_index(SQL(f'CREATE INDEX order_inexact ON "order" (id) WHERE {INEXACT_ORDERS.sql}'))
Order.add_index(SQL('CREATE INDEX order_settled ON "order" (settled_at)'))
Trade.add_index(SQL(f"CREATE INDEX trade_unknown ON trade (id) WHERE {UNKNOWN_STATUSES.sql}"))
Order.add_index(SQL(f'CREATE INDEX order_unknown ON "order" (id) WHERE {UNKNOWN_STATES.sql}'))
KeyValue.add_index(SQL('CREATE UNIQUE INDEX "memory_key" ON "memory" ("key")'))  # the name that databases have
