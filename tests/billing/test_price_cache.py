"""Cached prices last a day and agree with the data set."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from llmrepl.billing.price_catalog import PriceCatalog

NOW = datetime(2026, 3, 4, 12)
LOOK = """
import sys
from datetime import datetime
from pathlib import Path
from llmrepl.billing.price_catalog import PriceCatalog
catalog, now = PriceCatalog({}, Path(sys.argv[1])), datetime(2026, 3, 4, 12)
found = [catalog.find(*name.split("/", 1), now) for name in sys.argv[2:]]
print("genai_prices" in sys.modules, found)
"""
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "openai/no-such-model")


def look(cache: Path) -> tuple[str, str]:
    """Look up prices in a new process; return whether the data set was loaded, and the prices."""
    words = [sys.executable, "-c", LOOK, str(cache), *MODELS]
    loaded, _, found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.partition(" ")
    return loaded, found


def test_the_second_look_loads_nothing_and_finds_the_same(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "prices.json"
    first, second = look(cache), look(cache)
    assert (first[0], second[0]) == ("True", "False")
    assert first[1] == second[1]
    assert cache.stat().st_mode & 0o777 == 0o600


def test_cached_prices_expire_with_the_day_and_the_data_set(tmp_path: Path) -> None:
    cache = tmp_path / "prices.json"
    right = PriceCatalog({}, cache).find("openai", "gpt-4o-mini", NOW)
    kept = json.loads(cache.read_text())
    kept["prices"]["openai/gpt-4o-mini"]["input"] = [[0, 99.0]]
    cache.write_text(json.dumps(kept))
    wrong = PriceCatalog({}, cache).find("openai", "gpt-4o-mini", NOW)
    assert right and wrong and wrong.input == ((0, 99.0),)
    assert PriceCatalog({}, cache).find("openai", "gpt-4o-mini", NOW + timedelta(days=1)) == right
    cache.write_text(json.dumps(kept | {"of": [kept["of"][0], kept["of"][1], 1]}))
    assert PriceCatalog({}, cache).find("openai", "gpt-4o-mini", NOW) == right


RATES = {"input": [[0, 1.0]], "output": [[0, 1.0]], "cache_read": [], "cache_write": [], "context_window": None}


WRONG: tuple[dict[str, object], ...] = (
    {"input": []},
    {"input": [[0, -1.0]]},
    {"input": [[0, float("nan")]]},
    {"input": [[5, 1.0]]},
    {"input": 7},
    {"context_window": []},
)


@pytest.mark.parametrize(
    "prices", ["", "[]", "{", '{"of": 1}', 7, *({"openai/gpt-4o-mini": RATES | wrong} for wrong in WRONG)]
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, prices: object) -> None:
    cache = tmp_path / "prices.json"
    right = PriceCatalog({}, cache).find("openai", "gpt-4o-mini", NOW)
    of = json.loads(cache.read_text())["of"]
    cache.write_text(prices if isinstance(prices, str) else json.dumps({"of": of, "prices": prices}))
    assert PriceCatalog({}, cache).find("openai", "gpt-4o-mini", NOW) == right


def test_what_changes_with_the_hour_is_looked_up_each_time(tmp_path: Path) -> None:
    cache = tmp_path / "prices.json"
    PriceCatalog({}, cache).find("deepseek", "deepseek-chat", NOW)
    assert not cache.exists() or "deepseek/deepseek-chat" not in json.loads(cache.read_text())["prices"]


def test_incognito_leaves_no_name_of_a_model(tmp_path: Path) -> None:
    cache = tmp_path / "prices.json"
    assert PriceCatalog({}, cache).find("openai", "gpt-4o-mini", NOW, keep=False)
    assert not cache.exists()
