"""Parse one line of input, from the prompt or a script: a command, a prompt for the model, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BLOCK = '"""'


@dataclass
class Prompt:
    """Text for the model."""

    text: str


@dataclass
class CommandLine:
    """A command without its colon."""

    text: str


def parse(text: str) -> Prompt | CommandLine | None:
    """Parse a complete input; None if it is blank or a comment (`:#`)."""
    stripped = text.strip()
    if not stripped or stripped.startswith(":#"):
        return None
    if stripped.startswith("::"):
        return Prompt(text.replace("::", ":", 1) if "\n" in text else stripped[1:])
    if stripped.startswith(":") and "\n" not in stripped:
        return CommandLine(stripped[1:].strip() or "help")
    return Prompt(text if "\n" in text else stripped)


def as_prompt(text: str) -> str:
    """Escape `text` so that `parse` takes it as a prompt, whatever it begins with."""
    start = len(text) - len(text.lstrip())
    return f"{text[:start]}:{text[start:]}" if text.startswith(":", start) else text


def inputs(lines: Iterable[str]) -> Iterator[str]:
    """Yield the inputs in a script's lines, each as soon as it is complete.

    A `#!` first line is skipped. `\"\"\"` alone on a line starts and ends a multi-line input, which is always a prompt.
    """
    block: list[str] | None = None
    for number, raw in enumerate(lines):
        line = raw.rstrip("\r\n")
        if number == 0:
            line = line.removeprefix("\ufeff")
            if line.startswith("#!"):
                continue
        if line.strip() == BLOCK:
            if block is None:
                block = []
                continue
            line, block = "\n".join(block), None
            yield as_prompt(line)
        elif block is not None:
            block.append(line)
        else:
            yield line
    if block:
        yield as_prompt("\n".join(block))
