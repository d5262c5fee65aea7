"""Cache of the providers' model lists, each fetched once a day."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmrepl.formatting import closest_match
from llmrepl.models.resolver import ResolvedModel
from llmrepl.providers.protocols.base import ModelInfo
from llmrepl.system.files import write_private

DAY = 86_400.0
_MOST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CachedList:
    """A provider's list, fetched from `base_url` at the time `at` in seconds since 1970."""

    base_url: str
    at: float
    models: Mapping[str, ModelInfo]


class ModelListCache:
    """The model lists of all providers, in a cache directory. `clock` returns seconds since 1970.

    Missing, damaged and outdated files are fetched again.
    """

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._read: dict[tuple[str, str], CachedList | None] = {}

    def cached(self, resolved: ResolvedModel) -> CachedList | None:
        """Return the cached list of the provider of `resolved` at its address, or None. No network access."""
        place = _place(resolved)
        if place not in self._read:
            self._read[place] = _read(self._file(resolved), place[1])
        return self._read[place]

    def info(self, resolved: ResolvedModel) -> ModelInfo | None:
        """Return the entry of a model in the cached list, or None."""
        cached = self.cached(resolved)
        return cached.models.get(resolved.model) if cached else None

    def fetch(self, resolved: ResolvedModel, ask: Callable[[], Iterable[ModelInfo]], *, refresh: bool) -> CachedList:
        """Return the list, calling `ask` with `refresh` or if it is older than a day. Raises what `ask` raises."""
        cached = self.cached(resolved)
        if cached and not refresh and 0 <= self._clock() - cached.at < DAY:
            return cached
        models = ask()
        cached = CachedList(_place(resolved)[1], self._clock(), {info.id: info for info in models})
        self._read[_place(resolved)] = cached
        try:
            write_private(self._file(resolved), _encode(cached))
        except OSError:  # without a cache file, the list is fetched again next time
            pass
        return cached

    def _file(self, resolved: ResolvedModel) -> Path:
        return self._directory / f"{re.sub(r'[^a-z0-9_-]', '_', resolved.provider.lower())}.json"


def closest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the name most similar to a mistyped one, or the shortest with that prefix, with or without its vendor."""
    spelled = {spelling: other for other in names for spelling in (other.rpartition("/")[2], other)}
    begun = sorted((spelling for spelling in spelled if name and spelling.startswith(name)), key=len)
    found = closest_match(name, spelled, 0.7) or next(iter(begun), None)
    return spelled[found] if found else None


def _place(resolved: ResolvedModel) -> tuple[str, str]:
    return resolved.provider, resolved.base_url.rstrip("/")


def _encode(cached: CachedList) -> bytes:
    data = {"base_url": cached.base_url, "at": cached.at, "models": [asdict(info) for info in cached.models.values()]}
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")


def _read(file: Path, base_url: str) -> CachedList | None:
    try:
        if file.stat().st_size > _MOST:
            return None
        data = json.loads(file.read_bytes())
        if data["base_url"] != base_url:
            return None
        models = [_model(row) for row in data["models"]]
        return CachedList(base_url, float(data["at"]), {info.id: info for info in models})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _model(row: dict[str, Any]) -> ModelInfo:
    """Parse a row of the file. Raises TypeError for a value of the wrong type."""
    efforts = row.get("efforts")
    info = ModelInfo(**{**row, "efforts": tuple(efforts) if isinstance(efforts, list) else None})
    numbers = (info.context_window, info.max_output, info.input_price, info.output_price, info.created, info.ends)
    if not isinstance(info.id, str) or not isinstance(info.name, str):
        raise TypeError
    if any(n is not None and not isinstance(n, int | float) for n in numbers):
        raise TypeError
    if not all(isinstance(effort, str) for effort in info.efforts or ()):
        raise TypeError
    if any(flag not in (None, True, False) for flag in (info.chat, info.vision, info.deprecated, info.retired)):
        raise TypeError
    return info
