"""The guard's settings of the last tick that found nothing wrong with them, for a run that does."""

import json
import logging
from collections.abc import Mapping

from botctl.domain.strict_json import parse_json
from botctl.store.key_value import load_cached, save_cached

log = logging.getLogger(__name__)

KEY = "guard settings"


def load_last_good() -> dict[str, str]:
    """The texts by name, empty without any."""
    saved = load_cached(KEY)
    if saved is None:
        return {}
    try:
        values = parse_json(saved[0])
        return {str(name): str(text) for name, text in values.items()}
    except (ValueError, AttributeError) as error:
        log.warning("the last good settings can't be read: %s", error)
        return {}


def save_last_good(values: Mapping[str, str]) -> None:
    """Keep these texts, unless they are kept already."""
    if load_last_good() != values:
        save_cached(KEY, json.dumps(values))
