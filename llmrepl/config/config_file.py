"""Edit the user's configuration file with tomlkit, preserving comments."""

from __future__ import annotations

import os
import tomllib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from llmrepl.config.settings_table import SETTINGS, TABLES, Setting, Value
from llmrepl.errors import SaveError, UsageError
from llmrepl.formatting import escape_name, valid_text
from llmrepl.system import files
from llmrepl.system.locked_file import change_private


def write_setting(file: Path, key: str, text: str) -> Value:
    """Validate `text`, write it as `key` to a TOML file, and return the value; `off` removes a number.

    `key` is dotted, as in `providers.groq.base_url`; NAME in `prices.NAME.input` may contain dots. The file is created
    if missing and replaced atomically with mode 0600; a symbolic link is preserved. Raises UsageError for an unknown
    key, an invalid value or invalid TOML, and SaveError.
    """
    path, row = _row(key)
    if valid_text(f"{key}{text}") != f"{key}{text}":
        raise UsageError(f"{escape_name(key)} must be text in UTF-8", "nothing was changed")
    try:
        value = row.read(text)
    except ValueError as wrong:
        raise UsageError(f"{key} {wrong}, not '{text[:60]}'.", "Nothing was changed") from None
    real = Path(os.path.realpath(file))
    try:
        with change_private(real) as write:
            write(_edit(file, path, value).encode())
    except OSError as error:
        raise SaveError(f"{file} cannot be written: {files.reason(error)}", "nothing was changed") from error
    return value


def _edit(file: Path, path: list[str], value: Value) -> str:
    """Return the text of a TOML file with `value` at the dotted `path`, or without it if the value is None."""
    try:
        text = file.read_bytes().decode() if file.exists() else ""
        tomllib.loads(text)  # tomllib, which reads the settings, is stricter than tomlkit
        document = tomlkit.parse(text if text.endswith("\n") or not text else text + "\n")  # as it may add to that line
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not TOML: {str(error)[:200]}", "correct it; nothing was changed") from None
    except OSError as error:
        raise SaveError(f"{file} cannot be read: {files.reason(error)}", "nothing was changed") from error
    table: MutableMapping[str, Any] = document
    for name in path[:-1]:
        inner = table.setdefault(name, tomlkit.table(is_super_table=name == path[0] and len(path) > 2))
        if not isinstance(inner, tomlkit.items.Table | tomlkit.items.InlineTable):
            raise UsageError(f"{file}: {name} is not a table", "correct it; nothing was changed")
        table = inner
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value
    changed = tomlkit.dumps(document)
    try:
        tomllib.loads(changed)
    except ValueError as error:
        raise UsageError(f"{file} is not TOML with that in it: {error}", "nothing was changed; do it by hand") from None
    return changed


def _row(key: str) -> tuple[list[str], Setting]:
    """Return the path of a dotted key in the file, and its setting."""
    for row in SETTINGS:
        if row.key == key:
            return [key], row
    table, _, rest = key.partition(".")
    if table in TABLES and rest:
        name, _, inner = rest.rpartition(".")
        for row in TABLES[table]:
            if name and row.key == inner and row.kind != "table":
                return [table, name, inner], row
            owner, found, sub = rest.partition(f".{row.key}.")
            if row.kind == "table" and found and owner and sub:
                return [table, owner, row.key, sub], Setting(key, "text", None, "")
        if not TABLES[table]:
            return [table, rest], Setting(key, "text", None, "")
    raise UsageError(f"There is no setting '{key}'.", "llm config list shows all of them")
