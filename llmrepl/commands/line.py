"""Parse one line of input, from the prompt or a script: a command, a prompt for the model, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmrepl.commands.other_tools import ALONE
from llmrepl.errors import UsageError
from llmrepl.system.limits import MAX_INPUT_CHARACTERS

BLOCK = '"""'

_SLASHES = re.compile(r"/+[A-Za-z]")
"""A text that could be a command of another program; one more slash in front makes it a prompt."""


@dataclass
class Prompt:
    """Text for the model."""

    text: str


@dataclass
class CommandLine:
    """A command, without its colon. If it has several lines, each may be a command (see `split_commands`)."""

    text: str


def split_commands(text: str) -> list[str]:
    """The inputs in a command line without its colon: its lines, if each of them is a command; else nothing."""
    first, *others = text.split("\n")
    lines = [other.strip() for other in others if other.strip()]
    if lines and all(line.startswith(":") and not line.startswith("::") for line in lines):
        return [f":{first}", *lines]
    return []


def parse(text: str) -> Prompt | CommandLine | None:
    """Parse a complete input; None if it is blank or a comment (`:#`)."""
    stripped = text.strip()
    if not stripped or stripped.startswith(":#"):
        return None
    if stripped.startswith("::"):
        escape = "::" if stripped.lstrip(":").startswith("!") else ":"
        return Prompt(text.replace(escape, "", 1) if "\n" in text else stripped.removeprefix(escape))
    if stripped.startswith(":"):
        return CommandLine(stripped[1:].strip() or "help")
    if stripped.startswith("!") and "\n" not in stripped:
        mark = "!!" if stripped.startswith("!!") else "!"
        return CommandLine(f"{mark} {stripped.removeprefix(mark).strip()}")
    if text.strip(" \t") == "?":
        return CommandLine("help")
    if "\n" in text:
        return Prompt(text if "\n" in stripped else text.rstrip("\n"))
    return Prompt(stripped[1:] if _SLASHES.match(stripped, 1) and stripped.startswith("/") else stripped)


def as_prompt(text: str) -> str:
    """Escape `text` so that `parse` takes it as a prompt, whatever it begins with."""
    start = len(text) - len(text.lstrip())
    if text.strip() in ALONE:
        return f"{text}\n"
    if "\n" not in text and _SLASHES.match(text, start):
        return f"{text[:start]}/{text[start:]}"
    escape = "::" if text[start:].lstrip(":").startswith("!") else ":"
    return f"{text[:start]}{escape}{text[start:]}" if text.startswith((":", "!"), start) else text


def inputs(lines: Iterable[str]) -> Iterator[str]:
    """Yield the inputs in a script's lines, each as soon as it is complete.

    A first line that starts with `#!` is skipped. `\"\"\"` alone on a line opens and closes an input of several lines,
    which is always a prompt. Raises UsageError for a block that is never closed and for a line that is not text.
    """
    block: list[str] | None = None
    opened = size = 0
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r\n")
        if number == 1:
            line = line.removeprefix("\ufeff")
            if line.startswith("#!"):
                continue
        if "\0" in line or (number == 1 and line.startswith("\ufffd\ufffd")):  # UTF-16, decoded as UTF-8
            raise UsageError(f"The script is not UTF-8 text (line {number}).", "save the script as UTF-8")
        if line.strip() == BLOCK:
            if block is None:
                block, opened, size = [], number, 0
                continue
            line, block = "\n".join(block), None
            yield as_prompt(line)
        elif block is not None:
            block.append(line)
            size += len(line) + 1
            if size > MAX_INPUT_CHARACTERS:
                most = f"{MAX_INPUT_CHARACTERS >> 20} million characters"
                what = f"The block that begins in line {opened} is longer than {most}."
                raise UsageError(what, f"close it with {BLOCK} on a line")
        else:
            yield line
    if block is not None:
        raise UsageError(f"The block that begins in line {opened} is never closed.", f"close it with {BLOCK} on a line")
