"""Exported files are plain text to any program that opens them, with no formulas or scripts."""

from __future__ import annotations

import csv
import io
import json

import pytest

from llmrepl.sessions.export.csv_safe import unescape_cell
from tests.cli_runner import CliRunner

FORMULAS = ("=cmd|'/c calc'!A1", "+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "'=1", "\uff1d1", "\u200b=1")


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_listing_for_a_spreadsheet_runs_nothing(cli: CliRunner, formula: str) -> None:
    cli.runs.mkdir()
    name = f"{formula.replace('/', '')}.json"
    data = {"model": formula, "created_at": formula, "turns": [], "meta": {"title": formula, "tags": [formula]}}
    (cli.runs / name).write_text(json.dumps(data))
    row = only_row(cli.llm("sessions", "list", "--format", "csv").out)
    assert all(not begins_a_formula(cell) for cell in row.values())
    assert (unescape_cell(row["filename"]), unescape_cell(row["model"])) == (name, formula)
    assert unescape_cell(row["title"]) == formula


@pytest.mark.parametrize("name", ["=1+1", "+1", "-2", "@SUM(A1)"])
def test_usage_for_a_spreadsheet_runs_nothing(cli: CliRunner, name: str) -> None:
    cli.script("hello", words=("chat", "-m", "offline/echo", f"--name={name}"))
    row = only_row(cli.llm("usage", "--breakdown-by", "session", "--format", "csv").out)
    assert all(not begins_a_formula(cell) for cell in row.values())
    assert unescape_cell(row["session"]) == f"{name}.json"


def only_row(text: str) -> dict[str, str]:
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    return row


def begins_a_formula(cell: str) -> bool:
    return cell.lstrip(" \u200b").startswith(("=", "+", "-", "@", "\t", "\uff1d"))
