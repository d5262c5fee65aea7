"""The pictures in docs/screens show what the program shows."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOMENTS = re.compile(r"\d{8}_\d{6}|\d{4}-\d\d-\d\d \d\d:\d\d|\d+\.\d s|\d\d:\d\d")


def shown(svg: str) -> list[str]:
    """Return the rows of a picture, without moments and without where its colors change."""
    rows: dict[str, str] = {}
    for y, text in re.findall(r'<text x="[^"]*" y="(\d+)"[^>]*>(.*)</text>', svg):
        rows[y] = rows.get(y, "") + text
    return ["".join(MOMENTS.sub("…", row).split()) for row in rows.values()]


def test_the_pictures_are_current_in_their_text() -> None:
    made: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "make_screens.py"))["make_all"]()
    for name, svg in made.items():
        kept = (ROOT / "docs" / "screens" / name).read_text("utf-8")
        assert shown(kept) == shown(svg), f"{name} is not current: python docs/make_screens.py"
    assert len(made) == 4


def test_the_documents_show_every_picture() -> None:
    documents = [(ROOT / name).read_text("utf-8") for name in ("README.md", "docs/prompt.md")]
    for picture in (ROOT / "docs" / "screens").iterdir():
        assert any(f"screens/{picture.name}" in text for text in documents), picture.name
