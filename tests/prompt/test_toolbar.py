"""The bottom line at every width."""

from __future__ import annotations

import io
from contextlib import nullcontext
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from llmrepl.chat.workspace import Workspace
from llmrepl.config.settings import Settings
from llmrepl.prompt.display.toolbar import toolbar
from llmrepl.sessions.model import Session, Turn
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CliRunner


@given(
    st.integers(1, 200),
    st.sampled_from(["rusty", "session_20261125_051932", "日本語の会話" * 5, "x" * 70]),
    st.sampled_from([None, 0.07]),
    st.sampled_from([None, 1.0]),
)
def test_money_is_never_cut_from_the_bottom_line(
    tmp_path_factory: pytest.TempPathFactory, width: int, name: str, fraction: float | None, budget: float | None
) -> None:
    cli = CliRunner.at(tmp_path_factory.mktemp("bottom"))
    cli.environ |= {"LLM_SESSION_BUDGET": str(budget)} if budget else {}
    environment = Environment(cli.environ, cli.cwd, io.StringIO(), io.StringIO(), io.StringIO())
    paths = Paths.find(cli.environ)
    workspace = Workspace(environment, Settings.load(cli.environ, cli.cwd, paths), paths, Signals())
    session = Session.start("openai/gpt-5-mini", None, datetime(2026, 1, 2))
    session.turns = [Turn(messages=[], cost_estimate=0.0006)] * 6
    workspace.chat.current = OpenSession(session, cli.runs / f"{name}.json", nullcontext)
    money = "$0.0036" + (" of $1.0000" if budget else "")
    line = toolbar(workspace, fraction, width)
    assert money in line
    assert get_cwidth(line) <= max(width, len(money) + 1)
    if width >= 100 and name == "rusty":
        assert f"6 turns · {'7% of context · ' if fraction else ''}{money}" in line


def test_what_is_kept_where_it_is_narrow(tmp_path_factory: pytest.TempPathFactory) -> None:
    cli = CliRunner.at(tmp_path_factory.mktemp("bottom"))
    environment = Environment(cli.environ, cli.cwd, io.StringIO(), io.StringIO(), io.StringIO())
    paths = Paths.find(cli.environ)
    workspace = Workspace(environment, Settings.load(cli.environ, cli.cwd, paths), paths, Signals())
    session = Session.start("openai/gpt-5-mini", None, datetime(2026, 1, 2))
    session.turns = [Turn(messages=[], cost_estimate=0.0006)] * 6
    workspace.chat.current = OpenSession(session, cli.runs / "session_20261125_051932.json", nullcontext)
    assert [toolbar(workspace, 0.07, width).strip() for width in (90, 75, 60, 54, 40, 30, 20, 10)] == [
        "openai/gpt-5-mini · session_20261125_051932 · 6 turns · 7% of context · $0.0036",
        "openai/gpt-5-mini · 05:19 · 6 turns · 7% of context · $0.0036",
        "openai/gpt-5-mini · 05:19 · 7% of context · $0.0036",
        "openai/gpt-5-mini · 05:19 · 7% of context · $0.0036",
        "openai/gpt-5-mini · $0.0036",
        "openai/gpt-5-mini · $0.0036",
        "gpt-…mini · $0.0036",
        "$0.0036",
    ]
