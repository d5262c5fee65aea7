"""Cache of request parameters that models reject, so that each rejection costs only one request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmrepl.providers.refused_parameters import Change
from llmrepl.system.files import write_private

LIFETIME = 30 * 86_400.0
"""Seconds until a rejection expires, since models gain parameters."""

_MAX_BYTES = 1 << 20


class ParameterCache:
    """Rejections of one provider at one address, in the file at `path`. `clock` returns seconds since 1970.

    `hints` returns likely adjustments for a model without an entry. The file is safe to delete.
    """

    def __init__(
        self,
        path: Path,
        endpoint: str,
        clock: Callable[[], float],
        hints: Callable[[str], Mapping[str, str | int | None]] = lambda model: {},
    ) -> None:
        self._path = path
        self._endpoint = endpoint
        self._clock = clock
        self._hints = hints

    def changes(self, model: str) -> Mapping[str, str | int | None]:
        """Return the known or likely adjustments for a model."""
        row = self._read().get(f"{self._endpoint} {model}")
        known = row["changes"] if row and 0 <= self._clock() - row["at"] < LIFETIME else {}
        return {**self._hints(model), **known}

    def remember(self, model: str, change: Change) -> None:
        """Store an adjustment. Write errors are ignored."""
        rows = self._read()
        row = rows.setdefault(f"{self._endpoint} {model}", {"at": self._clock(), "changes": {}})
        row["at"] = self._clock()
        row["changes"][change[0]] = change[1]
        try:
            write_private(self._path, json.dumps(rows).encode())
        except OSError:
            pass

    def _read(self) -> dict[str, Any]:
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                return {}
            data = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        rows = data.items() if isinstance(data, dict) else ()
        return {name: row for name, row in rows if _valid(row)}


def _valid(row: object) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("at"), int | float) or isinstance(row["at"], bool):
        return False
    changes = row.get("changes")
    return isinstance(changes, dict) and all(
        value is None or (isinstance(value, str | int) and not isinstance(value, bool)) for value in changes.values()
    )
