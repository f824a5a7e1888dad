"""A demo home with 60 ticks, run once and copied for each test that reads it."""

import shutil
from pathlib import Path

import pytest

from botctl.config import Config, open_store
from botctl.domain.settings import parse_settings
from botctl.trading.tick import tick
from botctl.wiring import build_bot
from tests import postgres
from tests.bot_runner import BotRunner


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's database after 60 ticks, with closed trades and decisions of every kind."""
    return play(tmp_path_factory.mktemp("played"), {}).database_file


@pytest.fixture(scope="session")
def played_on_server(tmp_path_factory: pytest.TempPathFactory, server: postgres.Server) -> str:
    """The same on a server: the address of the database."""
    url = server.new_database()
    play(tmp_path_factory.mktemp("played"), {"DATABASE_URL": url})
    return url


def play(folder: Path, settings: dict[str, str]) -> Config:
    home = Config(folder, folder / ".env", parse_settings(settings))
    with open_store(home, create=True):
        bot = build_bot(home.settings, home.switch)
        for _ in range(60):
            tick(bot)
    return home


@pytest.fixture
def veteran(bot: BotRunner, request: pytest.FixtureRequest) -> BotRunner:
    """botctl in demo mode, in a home of its own with those 60 ticks behind it."""
    if bot.server:
        url = bot.url_of("demo")
        bot.server.drop(url)
        bot.server.new_database(like=request.getfixturevalue("played_on_server"), name=url)
        return bot
    played: Path = request.getfixturevalue("played")
    bot.database.parent.mkdir()
    shutil.copy(played, bot.database)
    bot.database.chmod(0o600)
    return bot
