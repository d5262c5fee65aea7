"""A sample of the merge histories, with the guide's programs run on the results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.faults import merge

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
    words = [sys.executable, str(GUIDE / f"{name}.py"), *arguments]
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    done = subprocess.run(words, cwd=directory.parent, env=environ, capture_output=True, text=True, check=True)
    assert "Error" not in done.stdout and "failed" not in done.stdout
    return done.stdout


def test_a_sample_of_histories_ends_with_each_turn_once_and_equal_files() -> None:
    outcomes = [merge.history(seed) for seed in range(12)]
    assert not [f"{one.case}: {one.said}" for one in outcomes if one.broken]


def test_the_programs_of_the_guide_run_on_merged_sessions() -> None:
    assert not merge.history(12, check_with_the_guide).broken
