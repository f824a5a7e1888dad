"""A database as botctl 0.1.0 made it: its schema's own SQL, with an open trade, what led to
it, and an order that has no ending yet."""

import sqlite3
from contextlib import closing
from pathlib import Path

SCHEMA = """
CREATE TABLE "decision" ("id" INTEGER NOT NULL PRIMARY KEY, "symbol" TEXT NOT NULL, "decided_at" TEXT NOT NULL,
    "decision" TEXT NOT NULL, "reason" TEXT NOT NULL, "verdicts" TEXT NOT NULL, "outcome" TEXT NOT NULL, "price" TEXT);
CREATE INDEX "decision_symbol" ON "decision" ("symbol");
CREATE TABLE "event" ("id" INTEGER NOT NULL PRIMARY KEY, "at" TEXT NOT NULL, "kind" TEXT NOT NULL,
    "trade_id" INTEGER, "order_id" INTEGER, "before" TEXT NOT NULL, "after" TEXT NOT NULL, "why" TEXT NOT NULL);
CREATE INDEX "event_trade_id" ON "event" ("trade_id");
CREATE TABLE "memory" ("id" INTEGER NOT NULL PRIMARY KEY, "key" TEXT NOT NULL, "value" TEXT NOT NULL,
    "saved_at" TEXT NOT NULL);
CREATE UNIQUE INDEX "memory_key" ON "memory" ("key");
CREATE TABLE "trade" ("id" INTEGER NOT NULL PRIMARY KEY, "symbol" TEXT NOT NULL, "asset" TEXT NOT NULL,
    "mode" TEXT NOT NULL, "status" TEXT NOT NULL, "created_at" TEXT NOT NULL, "amount" TEXT NOT NULL,
    "entry_amount" TEXT, "entry_price" TEXT, "entry_cost" TEXT, "entry_fee" TEXT, "opened_at" TEXT,
    "entry_order_id" TEXT, "atr" REAL, "stop_loss_price" REAL, "high_price" REAL, "checked_at" TEXT, "exiting" TEXT,
    "sold_amount" TEXT NOT NULL, "exit_proceeds" TEXT NOT NULL, "exit_price" TEXT, "exit_fee" TEXT NOT NULL,
    "closed_at" TEXT, "exit_order_id" TEXT, "exit_reason" TEXT, "pnl" TEXT);
CREATE UNIQUE INDEX one_active_trade_per_asset ON trade (asset) WHERE status IN ('PENDING', 'OPEN');
CREATE INDEX trade_asset_closed ON trade (asset, closed_at);
CREATE TABLE "order" ("id" INTEGER NOT NULL PRIMARY KEY, "client_order_id" TEXT NOT NULL, "exchange_order_id" TEXT,
    "trade_id" INTEGER NOT NULL, "side" TEXT NOT NULL, "symbol" TEXT NOT NULL, "state" TEXT NOT NULL, "reason" TEXT,
    "whole" INTEGER NOT NULL, "amount" TEXT NOT NULL, "cost" TEXT, "filled" TEXT NOT NULL, "average_price" TEXT,
    "fee" TEXT, "deadline" TEXT NOT NULL, "created_at" TEXT NOT NULL, "settled_at" TEXT, "error" TEXT,
    FOREIGN KEY ("trade_id") REFERENCES "trade" ("id"));
CREATE UNIQUE INDEX "order_client_order_id" ON "order" ("client_order_id");
CREATE INDEX "order_trade_id" ON "order" ("trade_id");
CREATE UNIQUE INDEX one_unsettled_order_per_trade ON "order" (trade_id)
    WHERE state IN ('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED');
CREATE TABLE "paperholding" ("id" INTEGER NOT NULL PRIMARY KEY, "currency" TEXT NOT NULL, "total" TEXT NOT NULL);
CREATE UNIQUE INDEX "paperholding_currency" ON "paperholding" ("currency");
CREATE TABLE "paperorder" ("id" INTEGER NOT NULL PRIMARY KEY, "exchange_order_id" TEXT NOT NULL,
    "client_order_id" TEXT NOT NULL, "side" TEXT NOT NULL, "symbol" TEXT NOT NULL, "amount" TEXT NOT NULL,
    "cost" TEXT NOT NULL, "fee" TEXT NOT NULL, "at" TEXT NOT NULL);
CREATE UNIQUE INDEX "paperorder_exchange_order_id" ON "paperorder" ("exchange_order_id");
CREATE INDEX "paperorder_client_order_id" ON "paperorder" ("client_order_id");
CREATE TABLE "stamp" ("id" INTEGER NOT NULL PRIMARY KEY, "mode" TEXT NOT NULL, "schema_version" INTEGER NOT NULL,
    "created_at" TEXT NOT NULL);
CREATE TABLE "systemconfig" ("id" INTEGER NOT NULL PRIMARY KEY, "key" TEXT NOT NULL, "value" TEXT NOT NULL,
    "updated_at" TEXT NOT NULL);
CREATE UNIQUE INDEX "systemconfig_key" ON "systemconfig" ("key");
CREATE TABLE "tick" ("id" INTEGER NOT NULL PRIMARY KEY, "at" TEXT NOT NULL, "seconds" REAL NOT NULL,
    "ok" INTEGER NOT NULL, "exit_code" INTEGER NOT NULL, "steps" TEXT NOT NULL, "equity" TEXT, "drawdown" TEXT);
CREATE INDEX "tick_at" ON "tick" ("at");
"""

NOON = "2026-11-22T12:00:00.000000+00:00"
ROWS = f"""
INSERT INTO systemconfig (key, value, updated_at) VALUES ('system_status', 'ACTIVE', '{NOON}'),
    ('frozen', 'false', '{NOON}'), ('buy_enabled', 'true', '{NOON}'), ('tripped_at', '', '{NOON}');
INSERT INTO trade VALUES
    (1, 'BTC/USD', 'BTC', 'live', 'OPEN', '{NOON}', '0.002', '0.002', '50000', '100.00', '0.40', '{NOON}', 'OBUY',
     500.0, 49000.0, 50000.0, '{NOON}', NULL, '0', '0', NULL, '0', NULL, NULL, NULL, NULL),
    (2, 'ETH/USD', 'ETH', 'live', 'PENDING', '{NOON}', '0.04', NULL, NULL, NULL, NULL, NULL, NULL,
     25.0, NULL, NULL, NULL, NULL, '0', '0', NULL, '0', NULL, NULL, NULL, NULL);
INSERT INTO "order" VALUES
    (1, '6d1b345e-2821-40e2-ad83-4ecb18a06876', 'OBUY', 1, 'buy', 'BTC/USD', 'FILLED', NULL, 1, '0.002', '100.00',
     '0.002', '50000', '0.40', '{NOON}', '{NOON}', '{NOON}', NULL),
    (2, '1f0f4c9a-61ce-4d53-a1b5-3b6b0b1d9a11', NULL, 2, 'buy', 'ETH/USD', 'UNKNOWN', NULL, 1, '0.04', NULL,
     '0', NULL, NULL, '{NOON}', '{NOON}', NULL, 'no answer');
INSERT INTO decision VALUES (1, 'BTC/USD', '{NOON}', 'BUY', 'a good day', '[]', 'bought: trade 1', '50000');
INSERT INTO event VALUES
    (1, '{NOON}', 'entry intended', 1, NULL, '{{}}', '{{"status": "PENDING"}}', 'entry intended'),
    (2, '{NOON}', 'new high', 1, NULL, '{{"high_price": 50000.0}}', '{{"high_price": 50100.0}}', 'price 50100');
"""


def make_version_1(path: Path, mode: str = "live") -> None:
    """Write such a database, as a run that has ended leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.executescript(SCHEMA + ROWS)
        connection.execute("INSERT INTO stamp VALUES (1, ?, 1, ?)", (mode, NOON))
