"""The settings of one shell, each with its origin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmrepl.config.settings_table import SETTINGS, TABLES, Setting, Value
from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import closest_match, escape_controls
from llmrepl.system.paths import Paths, decode, read_own

PROJECT_FILE = ".llm.toml"
JSON_FILE, JSON_PROJECT_FILE = "config.json", ".llm-config.json"
"""Files of the same meaning in JSON, which are read where there is no TOML file beside them."""
_LIMIT, _PROJECT_LIMIT = 1 << 18, 1 << 14
"""Sizes in bytes. Parsing a file of dotted keys takes quadratic time: at most a second here."""
_ROWS = {row.key: row for row in SETTINGS}
_SHORT = {row.name: row for row in SETTINGS}


class Settings:
    """Values from the command line, environment, project file, user configuration and defaults, in this order.

    `problems` lists what was ignored and why, one sentence each. `refused` are dotted keys that the project file may
    not set. The tables of the user configuration are `providers` by name, `models` and `prices` (USD per million
    tokens) by model, and the texts of `aliases` and `prompts`.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.refused: list[str] = []
        self.providers: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.prices: dict[str, dict[str, float]] = {}
        self.aliases: dict[str, str] = {}
        self.prompts: dict[str, str] = {}
        self._rows = dict(_ROWS)
        self._values: dict[str, tuple[Value, str]] = {row.key: (row.default, "default") for row in SETTINGS}

    @classmethod
    def load(
        cls, environ: Mapping[str, str], cwd: Path, paths: Paths, overrides: Mapping[str, Value] | None = None
    ) -> Settings:
        """Load the settings for a shell in `cwd`. `overrides` come from the command line, None if not given.

        Invalid values are problems, not errors; but an invalid override raises UsageError.
        """
        settings = cls()
        settings._configuration(_or_json(paths.config_file, JSON_FILE))
        settings._project(_or_json(cwd / PROJECT_FILE, JSON_PROJECT_FILE))
        for row in SETTINGS:
            if text := environ.get(row.variable):
                settings._take(row, text, row.variable, row.variable)
        for key, value in (overrides or {}).items():
            if value is not None:
                settings._change(_ROWS[key], value, "command line")
        return settings

    def reload(self, environ: Mapping[str, str], cwd: Path, paths: Paths, changed: str) -> None:
        """Read the files again, after `changed` was. Other values of the command line and this shell stay."""
        fresh = Settings.load(environ, cwd, paths)
        kept = {
            key: held
            for key, held in self._values.items()
            if held[1] in ("command line", "this shell") and key != changed
        }
        self._rows, self._values = fresh._rows, fresh._values | kept
        for table in TABLES:
            held = getattr(self, table)
            held.clear()
            held.update(getattr(fresh, table))

    def get(self, key: str) -> Value:
        """Return a value by key or `:set` name. Raises UsageError for an unknown setting."""
        return self._values[self.row(key).key][0]

    def text(self, key: str) -> str:
        """Return the value of a text, path or choice; empty if not set."""
        value = self.get(key)
        return "" if value is None else str(value)

    def flag(self, key: str) -> bool:
        """Return the value of a flag."""
        return bool(self.get(key))

    def number(self, key: str) -> float | None:
        """Return the value of a number (USD, seconds), None if not set."""
        value = self.get(key)
        return None if value is None else float(value)

    def count(self, key: str) -> int | None:
        """Return the value of an integer, None if not set."""
        value = self.get(key)
        return None if value is None else int(value)

    def names(self, key: str) -> list[str]:
        """Return the names in a list."""
        return [name for name in self.text(key).split(", ") if name]

    def source(self, key: str) -> str:
        """Return the origin of a value: `command line`, a variable, a file, `default` or `this shell`."""
        return self._values[self.row(key).key][1]

    def display(self, key: str) -> str:
        """Format a value as in the configuration file, or say that it is not set."""
        value = self.get(key)
        if value is None:
            return "off" if self.row(key).numeric else "not set"
        return str(value).lower() if isinstance(value, bool) else str(value)

    def set(self, key: str, value: Value) -> None:
        """Change a setting of this shell. Raises UsageError for an invalid value, or one that `:set` cannot change."""
        row = self.row(key)
        if not row.shell:
            raise UsageError(
                f"{row.key} cannot change while the shell runs.",
                f"llm config set {row.key} VALUE changes it from the next one on",
            )
        self._change(row, value, "this shell")

    def row(self, key: str) -> Setting:
        """Return a setting by key or `:set` name. Raises UsageError for an unknown setting."""
        row = self._rows.get(key) or _SHORT.get(key)
        if row is None:
            near = closest_match(key, [*self._rows, *_SHORT])
            raise UsageError(
                f"There is no setting '{key}'.",
                f"Did you mean '{near}'?" if near else "llm config list shows all of them",
            )
        return row

    def rows(self) -> list[Setting]:
        """Return all settings; named ones such as `aliases.fast` come last."""
        return list(self._rows.values())

    def shell_settings(self) -> list[Setting]:
        """Return the settings that `:set` changes."""
        return [row for row in SETTINGS if row.shell]

    def _change(self, row: Setting, value: Value, source: str) -> None:
        try:
            self._values[row.key] = (None if value is None else row.read(value), source)
        except ValueError as wrong:
            raise UsageError(f"{row.name} {wrong}, not '{str(value)[:60]}'.") from None

    def _problem(self, text: str) -> None:
        self.problems.append(escape_controls(text))

    def _take(self, row: Setting, value: object, source: str, where: str) -> None:
        try:
            self._values[row.key] = (row.read(value), source)
        except ValueError as wrong:
            self._problem(f"{where} {wrong}, and is ignored")

    def _configuration(self, file: Path) -> None:
        for key, value in self._document(file, _read_file, _LIMIT).items():
            if key in _ROWS:
                self._take(_ROWS[key], value, str(file), f"{file}: {key}")
            elif key not in TABLES:
                self._unknown(file, key, [*_ROWS, *TABLES])
            elif isinstance(value, dict):
                self._table(key, value, file)
            else:
                self._problem(f"{file}: {key} must be a table, and is ignored")

    def _table(self, table: str, named: dict[str, Any], file: Path) -> None:
        inner = {row.key: row for row in TABLES[table]}
        held = getattr(self, table)
        for name, value in named.items():
            if not inner:
                self._part(held, name, Setting(f"{table}.{name}", "text", None, ""), value, file)
            elif not isinstance(value, dict):
                self._problem(f"{file}: {table}.{name} must be a table, and is ignored")
            else:
                for key, part in value.items():
                    dotted = f"{table}.{name}.{key}"
                    if key in inner and inner[key].kind == "table":
                        self._inner_table(held.setdefault(name, {}).setdefault(key, {}), dotted, part, file)
                    elif key in inner:
                        self._part(held.setdefault(name, {}), key, replace(inner[key], key=dotted), part, file)
                    else:
                        self._unknown(file, dotted, [f"{table}.{name}.{known}" for known in inner])

    def _inner_table(self, held: dict[str, Any], dotted: str, named: object, file: Path) -> None:
        """Read a table of texts, such as `providers.NAME.headers`."""
        if not isinstance(named, dict):
            self._problem(f"{file}: {dotted} must be a table, and is ignored")
            return
        for name, value in named.items():
            self._part(held, name, Setting(f"{dotted}.{name}", "text", None, ""), value, file)

    def _part(self, held: dict[str, Any], key: str, row: Setting, value: object, file: Path) -> None:
        self._take(row, value, str(file), f"{file}: {row.key}")
        if row.key in self._values:
            self._rows[row.key] = row
            held[key] = self._values[row.key][0]

    def _unknown(self, file: Path, key: str, known: Iterable[str]) -> None:
        meant = _meant(key, known)
        self._problem(f"{file}: {key} is not a setting, and is ignored" + (f"; {meant}" if meant else ""))

    def _project(self, file: Path) -> None:
        for key, value in self._document(file, read_own, _PROJECT_LIMIT).items():
            row = _ROWS.get(key)
            if row is not None and row.project:
                self._project_value(row, value, file)
                continue
            self.refused += _dotted(key, value)
            if key in _ROWS or key in TABLES:
                self._problem(f"{file}: a project may not set {key}, and it is ignored")
            else:
                self._unknown(file, key, [row.key for row in SETTINGS if row.project])

    def _project_value(self, row: Setting, value: object, file: Path) -> None:
        """Use a value of the project file; a budget only if it is lower than the user's."""
        before = self._values[row.key]
        self._take(row, value, PROJECT_FILE, f"{file}: {row.key}")
        limit, wanted = before[0], self.get(row.key)
        if row.lower and limit is not None and (wanted is None or float(wanted) > float(limit)):
            self._values[row.key] = before
            self._problem(f"{file}: a project may only lower {row.key}, and this value is ignored")

    def _json(self, file: Path, text: str) -> dict[str, Any]:
        """Parse a JSON file; null means that a setting is not set. Raises ValueError."""
        import json

        data = json.loads(text)
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        self._problem(f"{file} is not read: it is not an object")
        return {}

    def _document(self, file: Path, read: Callable[[Path, int], str | None], limit: int) -> dict[str, Any]:
        """Read a TOML or JSON file; if it is invalid, record a problem and return an empty dict."""
        try:
            text = read(file, limit)
        except LLMError as failure:
            self._problem(str(failure))
            return {}
        if text is None:
            return {}
        try:
            if file.suffix == ".json":
                return self._json(file, text)
            import tomllib  # usually there is no file

            return tomllib.loads(text)
        except RecursionError:
            self._problem(f"{file} is not read: it is nested too deeply")
        except ValueError as error:
            self._problem(f"{file} is not read: {str(error)[:200]}")
        return {}


def _or_json(file: Path, name: str) -> Path:
    """The file, or the JSON file `name` beside it if only that one exists."""
    other = file.with_name(name)
    return other if not os.path.lexists(file) and os.path.lexists(other) else file


def _read_file(file: Path, limit: int) -> str | None:
    try:
        with open(file, "rb") as opened:
            return decode(file, opened.read(limit + 1), limit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{file} is not read: {(error.strerror or 'the system refused').lower()}") from error


def _dotted(key: str, value: object) -> list[str]:
    """Return the dotted keys in a TOML value, as deep as `providers.NAME.base_url`."""
    if not isinstance(value, dict) or key.count(".") == 2:
        return [key]
    return [dotted for inner, part in value.items() for dotted in _dotted(f"{key}.{inner}", part)]


def _meant(key: str, known: Iterable[str]) -> str:
    near = closest_match(key, known)
    return f"did you mean {near}?" if near else ""
