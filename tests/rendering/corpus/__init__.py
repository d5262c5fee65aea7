"""Markdown documents for the tests of what is drawn."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def commonmark() -> dict[str, str]:
    """The examples of the CommonMark specification by their number."""
    data = json.loads((HERE / "commonmark.json").read_text(encoding="utf-8"))
    return {f"spec-{one['example']}": one["markdown"] for one in data["examples"]}


@cache
def replies() -> dict[str, str]:
    """Long replies by the names of their files."""
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted((HERE / "replies").glob("*.md"))}


@cache
def documents() -> dict[str, str]:
    """All of them."""
    return {**commonmark(), **replies()}
