"""Where the files are that come with the program."""

from __future__ import annotations

from pathlib import Path


def packaged(name: str) -> Path:
    """The directory `docs` or `completions`: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
