"""Markdown documents for the rendering tests."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def commonmark() -> dict[str, str]:
    """Return the examples of the CommonMark specification by number."""
    data = json.loads((HERE / "commonmark.json").read_text(encoding="utf-8"))
    return {f"spec-{one['example']}": one["markdown"] for one in data["examples"]}


@cache
def replies() -> dict[str, str]:
    """Return long replies by file name."""
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted((HERE / "replies").glob("*.md"))}


@cache
def documents() -> dict[str, str]:
    """Return all of them."""
    return {**commonmark(), **replies()}
