"""Locate files that are packaged with the program."""

from __future__ import annotations

from pathlib import Path


def packaged_directory(name: str) -> Path:
    """Return the directory `docs` or `completions`, in an installed package or a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
