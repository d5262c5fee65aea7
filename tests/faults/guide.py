"""The programs of the guide, which read sessions as their own authors would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).resolve().parent.parent / "guide"


def check_with_the_guide(directory: Path) -> None:
    """Check that every program of the guide reads every session."""
    sessions = {path.name: json.loads(path.read_bytes()) for path in sorted(directory.glob("*.json"))}
    said = {name: program(directory, name) for name in ("analyze_sessions", "validate_sessions", "filter_sessions")}
    tokens = sum(session.get("usage_totals", {}).get("total_tokens", 0) for session in sessions.values())
    assert f"Total Tokens: {tokens:,}" in said["analyze_sessions"]
    assert said["validate_sessions"] == f"✅ {len(sessions)} valid session files\n"
    assert f"Found {len(sessions)} matching sessions" in said["filter_sessions"]
    for name, session in sessions.items():
        exported = program(directory, "export_session", f"runs/{name}")
        assert all(message["content"] in exported for turn in session["turns"] for message in turn["messages"])
        assert session.get("usage_totals", {}).get("total_tokens", 0) == sum(
            turn.get("usage", {}).get("total_tokens", 0) for turn in session["turns"]
        )


def program(directory: Path, name: str, *arguments: str) -> str:
    """Run a program of the guide beside a sessions directory and return what it printed."""
    words = [sys.executable, str(GUIDE / f"{name}.py"), *arguments]
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    done = subprocess.run(words, cwd=directory.parent, env=environ, capture_output=True, text=True, check=True)
    assert "Error" not in done.stdout and "failed" not in done.stdout
    return done.stdout
