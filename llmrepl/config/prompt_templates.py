"""Saved prompts with holes: `{name}` and `$1` must be given a value, `{name:default}` may be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_HOLE = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_-]*)(?::(?P<default>[^{}]*))?\}|\$(?P<number>[1-9])(?![0-9])")


def holes(text: str) -> dict[str, str | None]:
    """Return the names of the holes in a prompt, in order, each with its default or None.

    The name of `$1` is `1`; `$2` is a hole only beside `$1`, and so on, so that an amount such as `$5` is none.
    """
    numbers = {found["number"] for found in _HOLE.finditer(text)}
    most = next(number for number in range(10) if str(number + 1) not in numbers)
    wanted: dict[str, str | None] = {}
    for hole in _HOLE.finditer(text):
        if hole["name"]:
            default = wanted.get(hole["name"])
            wanted[hole["name"]] = hole["default"] if default is None else default
        elif int(hole["number"]) <= most:
            wanted[hole["number"]] = None
    return wanted


def read_values(wanted: Mapping[str, str | None], arguments: Sequence[str]) -> dict[str, str]:
    """Return the values that NAME=VALUE and positional `arguments` give to holes. Raises KeyError for a surplus one."""
    values: dict[str, str] = {}
    numbers = iter(sorted(name for name in wanted if name.isdigit()))
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in wanted:
            values[name] = value
        elif number := next(numbers, ""):
            values[number] = argument
        else:
            raise KeyError(argument)
    return values


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a prompt with its holes replaced by `values`, else by their defaults; values are not searched for holes.

    Raises KeyError for a hole with neither.
    """
    wanted = holes(text)
    given = {name: default for name, default in wanted.items() if default is not None} | dict(values)

    def value(hole: re.Match[str]) -> str:
        name = hole["name"] or hole["number"]
        return given[name] if name in wanted else hole[0]

    return _HOLE.sub(value, text)
