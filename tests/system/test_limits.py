"""The table of limits in the documentation matches the program."""

from __future__ import annotations

import re
from pathlib import Path

from llmrepl.system import limits

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "security.md"


def test_every_limit_is_documented_with_its_value() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|.*\| ([\d,]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    kept = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert {name: int(value.replace(",", "")) for name, value in rows} == kept
