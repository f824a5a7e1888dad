"""A demo home with a past, played once and copied for each test that only looks at it."""

import shutil
from pathlib import Path

import pytest

from botctl.domain.settings import parse_settings
from botctl.home import Home, open_store
from botctl.services.tick import tick
from botctl.wiring import build_bot
from tests.conftest import BotRunner


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's database after 60 ticks: trades that closed, and decisions of every kind."""
    folder = tmp_path_factory.mktemp("played")
    home = Home(folder, folder / ".env", parse_settings({}))
    with open_store(home, create=True):
        bot = build_bot(home.settings, home.switch)
        for _ in range(60):
            tick(bot)
    return home.database


@pytest.fixture
def veteran(bot: BotRunner, played: Path) -> BotRunner:
    """botctl in demo mode, in a home of its own with those 60 ticks behind it."""
    bot.database.parent.mkdir()
    shutil.copy(played, bot.database)
    bot.database.chmod(0o600)
    return bot
