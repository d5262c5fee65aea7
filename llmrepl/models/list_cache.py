"""Which models exist: each provider's own list, asked for once a day and kept in the cache directory."""

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
    """A provider's list as it was at `at`, in seconds since 1970, when it was fetched from `base_url`."""

    base_url: str
    at: float
    models: Mapping[str, ModelInfo]


class ModelListCache:
    """The lists of all providers; `clock` tells seconds since 1970.

    What is in the cache directory may be deleted, damaged or of another version: then it is fetched anew.
    """

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._read: dict[tuple[str, str], CachedList | None] = {}

    def kept(self, resolved: ResolvedModel) -> CachedList | None:
        """The list of the provider of `chosen` at its address, as it was last fetched; nobody is asked."""
        place = _place(resolved)
        if place not in self._read:
            self._read[place] = _read(self._file(resolved), place[1])
        return self._read[place]

    def info(self, resolved: ResolvedModel) -> ModelInfo | None:
        """What the provider's list, as it was last fetched, says of a model."""
        kept = self.kept(resolved)
        return kept.models.get(resolved.model) if kept else None

    def fetched(self, resolved: ResolvedModel, ask: Callable[[], Iterable[ModelInfo]], *, refresh: bool) -> CachedList:
        """The list, asked for with `refresh` or when it is older than a day. Raises what `ask` raises."""
        kept = self.kept(resolved)
        if kept and not refresh and 0 <= self._clock() - kept.at < DAY:
            return kept
        models = ask()
        kept = CachedList(_place(resolved)[1], self._clock(), {info.id: info for info in models})
        self._read[_place(resolved)] = kept
        try:
            write_private(self._file(resolved), _written(kept))
        except OSError:  # a cache that cannot be written costs a request the next time, no more
            pass
        return kept

    def _file(self, resolved: ResolvedModel) -> Path:
        return self._directory / f"{re.sub(r'[^a-z0-9_-]', '_', resolved.provider.lower())}.json"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that is most like a mistyped one, or the shortest that begins with it, be it without its maker."""
    spelled = {spelling: other for other in names for spelling in (other.rpartition("/")[2], other)}
    begun = sorted((spelling for spelling in spelled if name and spelling.startswith(name)), key=len)
    found = closest_match(name, spelled, 0.7) or next(iter(begun), None)
    return spelled[found] if found else None


def _place(resolved: ResolvedModel) -> tuple[str, str]:
    return resolved.provider, resolved.base_url.rstrip("/")


def _written(kept: CachedList) -> bytes:
    data = {"base_url": kept.base_url, "at": kept.at, "models": [asdict(info) for info in kept.models.values()]}
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
    """A row of the file; one with a value of the wrong kind raises TypeError."""
    info = ModelInfo(**row)
    numbers = (info.context_window, info.input_price, info.output_price, info.created)
    if not isinstance(info.id, str) or not isinstance(info.name, str):
        raise TypeError
    if any(n is not None and not isinstance(n, int | float) for n in numbers):
        raise TypeError
    return info
