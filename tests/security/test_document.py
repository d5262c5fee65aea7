"""Each test that docs/security.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent


def test_every_test_that_the_document_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (TOP / "docs" / "security.md").read_text("utf-8"))
    assert len(named) > 40
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (TOP / file).exists() or f"def {test}" not in (TOP / file).read_text("utf-8")
    ]
    assert not missing


def test_every_attack_stands_in_the_document() -> None:
    text = (TOP / "docs" / "security.md").read_text("utf-8")
    files = [file.name for file in Path(__file__).parent.glob("test_*.py") if file != Path(__file__)]
    assert [name for name in files if f"tests/security/{name}" not in text] == []
