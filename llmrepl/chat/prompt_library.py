"""Saved prompts: `[prompts]` of the configuration, and Markdown files in `prompts/` of the configuration directory.

A file may begin with front matter (YAML between lines of `---`): description, model, system, and variables with their
defaults. A saved prompt is only text: nothing in it is run or fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrepl.config.prompt_templates import fill, holes
from llmrepl.errors import UsageError
from llmrepl.formatting import closest_match, escape_name

MAX_BYTES = 1 << 18
"""Maximum size of a prompt file."""

SUFFIX = ".md"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)(?P<text>.*)", re.DOTALL | re.MULTILINE)
_KEYS = ("description", "model", "system", "variables")


@dataclass(frozen=True)
class SavedPrompt:
    """A saved prompt. `variables` are the names of its holes, in order, each with its default or None."""

    name: str
    text: str
    description: str = ""
    model: str | None = None
    system: str | None = None
    variables: Mapping[str, str | None] = field(default_factory=dict)


class PromptLibrary:
    """The saved prompts of the user. A file takes precedence over a prompt of the same name in the configuration."""

    def __init__(self, directory: Path, configured: Mapping[str, str]) -> None:
        self.directory = directory
        self._configured = configured

    def names(self) -> list[str]:
        """Return the names of all saved prompts, sorted."""
        try:
            files = [path.stem for path in self.directory.iterdir() if path.suffix == SUFFIX and _is_name(path.stem)]
        except OSError:
            files = []
        return sorted({*files, *self._configured})

    def path(self, name: str) -> Path:
        """Return the file of a prompt, which need not exist. Raises UsageError for what is no name."""
        if not _is_name(name):
            raise UsageError(f"'{escape_name(name)[:60]}' is no name of a prompt.", "use letters, digits, - and _")
        return self.directory / f"{name}{SUFFIX}"

    def find(self, name: str) -> SavedPrompt | None:
        """Return a saved prompt, None if there is none. Raises UsageError for a file that is none."""
        if _is_name(name) and (text := _read(self.path(name))) is not None:
            return parse(name, text)
        if name in self._configured:
            text = self._configured[name]
            return SavedPrompt(name, text, variables=holes(text))
        return None

    def source(self, name: str) -> str:
        """Return the file of a prompt as it stands, or the configured text; empty if there is neither."""
        text = _read(self.path(name))
        return self._configured.get(name, "") if text is None else text

    def get(self, name: str) -> SavedPrompt:
        """Return a saved prompt. Raises UsageError if there is none."""
        found = self.find(name)
        if found is None:
            near = closest_match(name, self.names())
            hint = f"Did you mean {near}?" if near else "'llm prompts list' shows all"
            raise UsageError(f"There is no saved prompt '{escape_name(name)[:60]}'.", hint)
        return found

    def system(self, given: str) -> str:
        """Return a system prompt: the saved one for `@NAME`, any other text as it is. Raises UsageError."""
        if not given.startswith("@") or not _is_name(given[1:]):
            return given
        found = self.get(given[1:])
        missing = [name for name, default in found.variables.items() if default is None]
        if missing:
            what = f"The prompt {found.name} needs a value for {' and '.join(missing)}, so it is no system prompt."
            raise UsageError(what, f"'llm prompts edit {found.name}' gives defaults")
        return fill(found.text, _defaults(found))


def filled(prompt: SavedPrompt, values: Mapping[str, str]) -> str:
    """Return the text with `values`, else defaults, in its holes. Raises KeyError for a hole with neither."""
    return fill(prompt.text, {**_defaults(prompt), **values})


def _defaults(prompt: SavedPrompt) -> dict[str, str]:
    return {name: default for name, default in prompt.variables.items() if default is not None}


def parse(name: str, text: str) -> SavedPrompt:
    """Parse a prompt file. Raises UsageError for front matter that is none."""
    found = _FRONT_MATTER.match(text)
    body = (found["text"] if found else text).strip()
    data = _front_matter(name, found["yaml"]) if found else {}
    if unknown := [key for key in data if key not in _KEYS]:
        raise _wrong(name, f"'{escape_name(str(unknown[0]))[:40]}' is unknown")
    if not body:
        raise _wrong(name, "there is no text after it")
    variables = data.get("variables") or {}
    if isinstance(variables, list):
        variables = dict.fromkeys(variables)
    if not isinstance(variables, dict):
        raise _wrong(name, "variables must be names with defaults")
    wanted: dict[str, str | None] = dict(holes(body))
    for variable, default in variables.items():
        if variable not in wanted:
            raise _wrong(name, f"the variable '{escape_name(str(variable))[:40]}' is not in the text")
        if default is not None:
            wanted[variable] = _text(name, str(variable), default)
    parts = {key: _text(name, key, data[key]) for key in _KEYS[:3] if data.get(key) is not None}
    return SavedPrompt(name, body, parts.get("description", ""), parts.get("model"), parts.get("system"), wanted)


def _text(name: str, key: str, value: object) -> str:
    if not isinstance(value, str | int | float):
        raise _wrong(name, f"{escape_name(key)[:40]} must be text")
    return str(value).strip()


def _front_matter(name: str, text: str) -> dict[str, Any]:
    from llmrepl.system import plain_yaml

    try:
        data = plain_yaml.load(text)
    except plain_yaml.PlainYAMLError as error:
        raise _wrong(name, f"line {error.line + 1}" if error.line else str(error)) from None
    if data is not None and not isinstance(data, dict):
        raise _wrong(name, "it must be keys and values")
    return data or {}


def _wrong(name: str, why: str) -> UsageError:
    return UsageError(f"The front matter of the prompt {name} is wrong: {why}.", f"'llm prompts edit {name}' opens it")


def _read(path: Path) -> str | None:
    """Read a prompt file, None if there is none. Raises UsageError."""
    try:
        with open(path, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        raise UsageError(f"Cannot read the prompt {path.stem}: {why}.", "check the file") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"The prompt {path.stem} is larger than {MAX_BYTES >> 10} KiB.", "':attach' takes a long text")
    return data.decode("utf-8-sig", "replace")


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def described(prompt: SavedPrompt) -> Sequence[str]:
    """Return the variables as they are written: `who`, `tone=friendly`."""
    return [name if default is None else f"{name}={default}" for name, default in prompt.variables.items()]
