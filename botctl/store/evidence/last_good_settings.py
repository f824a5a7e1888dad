"""The guard's settings of the last tick that found nothing wrong with them, for a run that does."""

import json
from collections.abc import Mapping

from botctl.store.key_value import load_json, save_cached

KEY = "guard settings"


def load_last_good() -> dict[str, str]:
    """The texts by name, empty without any."""
    values = load_json(KEY, dict)
    return {} if values is None else {str(name): str(text) for name, text in values.items()}


def save_last_good(values: Mapping[str, str]) -> None:
    """Keep these texts, unless they are kept already."""
    if load_last_good() != values:
        save_cached(KEY, json.dumps(values))
