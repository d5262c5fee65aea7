"""Read YAML of others as plain values: no objects, and no aliases, with which a small text stands for a huge value."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent


class PlainYAMLError(ValueError):
    """Why a text is refused. `line` counts from 1; None if the error has no place."""

    def __init__(self, why: str, line: int | None) -> None:
        super().__init__(f"line {line}: {why}" if line else why)
        self.line = line


def load(text: str, *, as_text: bool = False) -> Any:
    """Parse a YAML 1.2 document; with `as_text`, every scalar is a string whatever it looks like.

    Raises PlainYAMLError.
    """
    parser = YAML(typ="base" if as_text else "safe", pure=True)
    try:
        alias = next((event for event in parser.parse(text) if isinstance(event, AliasEvent)), None)
        if alias:
            raise PlainYAMLError("aliases are not read", alias.start_mark.line + 1)
        return parser.load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise PlainYAMLError(
            getattr(error, "problem", None) or "it is not YAML", mark.line + 1 if mark else None
        ) from None
    except RecursionError:
        raise PlainYAMLError("it is nested too deeply", None) from None
    except (ValueError, TypeError) as error:
        if isinstance(error, PlainYAMLError):
            raise
        raise PlainYAMLError("it is not YAML", None) from None
