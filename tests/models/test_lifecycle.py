"""In 2029, with models that nobody has heard of yet: what is listed, offered and chosen."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from llmrepl.chat.available import models_to_pick
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.value_sources import efforts, models, values
from llmrepl.config.settings import Settings
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Server, serving, sse, status, stream

NOW = datetime(2029, 3, 4)
LIST = {
    "data": [
        {"id": "zeta-9-mini", "created": 1861920000, "context_length": 2_000_000, "shutdown_date": "2029-06-01"},
        {"id": "zeta-9", "created": 1861920000, "reasoning_efforts": ["low", "high"], "supports_vision": True},
        {"id": "zeta-9-coder", "created": 1861920000, "deprecated": True},
        {"id": "zeta-9-embed", "created": 1861920000},
        {"id": "zeta-9-paint", "created": 1861920000, "type": "image"},
        {"id": "zeta-8-mini", "created": 1830384000, "shutdown_date": "2029-03-01"},
        {"id": "zeta-7-mini", "created": 1798848000, "lifecycle": "retired"},
    ]
}
ALIVE = ["groq/zeta-9-mini", "groq/zeta-9", "groq/zeta-9-coder"]


@pytest.fixture
def server(cli: CliRunner) -> Iterator[Server]:
    reply = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))
    with serving(status(200, LIST), reply) as server:
        config = cli.home / ".config" / "llm"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(f'[providers.groq]\nbase_url = "{server.url}/v1"\n')
        cli.environ["GROQ_API_KEY"] = KEY
        cli.now = lambda: NOW
        yield server


def workspace_of(cli: CliRunner) -> Workspace:
    environment = Environment(cli.environ, cli.cwd, io.StringIO(), io.StringIO(), io.StringIO(), cli.now)
    paths = Paths.find(environment.environ)
    return Workspace(environment, Settings.load(environment.environ, environment.cwd, paths), paths, Signals())


def listed(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.startswith("groq/")]


def test_only_living_models_to_chat_with_are_listed_with_their_end(cli: CliRunner, server: Server) -> None:
    ran = cli.llm("models", "list", "--provider", "groq")
    assert listed(ran.out) == ALIVE
    ends = {line.split()[0]: line.split()[-1] for line in ran.out.splitlines()}
    assert ends == {ALIVE[0]: "2029-06-01", ALIVE[1]: "-", ALIVE[2]: "deprecated"}
    everything = cli.llm("models", "list", "--provider", "groq", "--all")
    assert len(listed(everything.out)) == len(LIST["data"])
    rows = json.loads(cli.llm("models", "list", "--provider", "groq", "--json").out)
    assert [row["ends"] for row in rows] == ["2029-06-01", None, None]
    assert [row["images"] for row in rows] == [None, True, None]
    assert rows[2]["deprecated"] is True and rows[1]["efforts"] == ["low", "high"]


def test_a_model_s_facts_have_their_dates(cli: CliRunner, server: Server) -> None:
    info = cli.llm("models", "info", "groq/zeta-9-mini").out
    facts = dict(line.split(":", 1) for line in info.splitlines())
    assert facts["Ends"].strip() == "2029-06-01" and facts["Released"].strip() == "2029-01-01"
    assert facts["Context"].strip() == "2,000,000 tokens"
    info = cli.llm("models", "info", "groq/zeta-9").out
    assert "low, high" in info and "Images:" in info


def test_tab_and_the_picker_offer_what_can_be_used(cli: CliRunner, server: Server) -> None:
    cli.llm("models", "list", "--provider", "groq")
    workspace = workspace_of(cli)
    assert [one.value for one in models(workspace, "model ", "groq/") if one.value.startswith("groq/")] == ALIVE
    picked = models_to_pick(workspace)
    assert [one.name for one in picked if one.provider == "groq"] == ALIVE
    assert picked[0].context_window == 2_000_000
    assert [one.value for one in efforts(workspace, "chat -m groq/zeta-9 --effort ", "")] == ["low", "high"]
    assert len(list(efforts(workspace, "chat -m groq/zeta-9-mini --effort ", ""))) == 6, "unknown: all there are"
    workspace.chat.set_model("groq/zeta-9")
    assert [one.value for one in values(workspace, "set effort ", "")] == ["default", "low", "high"]
    workspace.chat.set_model("offline/echo")
    assert [one.value for one in values(workspace, "set effort ", "")] == ["default"]


def test_a_switch_to_a_model_that_ends_says_so(cli: CliRunner, server: Server) -> None:
    cli.llm("models", "list", "--provider", "groq")
    names = ("zeta-9", "zeta-9-mini", "zeta-9-coder", "zeta-7-mini", "zeta-0")
    ran = cli.script(*(f":model groq/{name}" for name in names))
    said = [line.partition("(but ")[2].rstrip(")") for line in ran.err.splitlines() if "Model: groq/" in line]
    assert said[:4] == [
        "",
        "groq ends it on 2029-06-01",
        "groq says that it is deprecated",
        "groq says that it is retired",
    ]
    assert "groq lists no model zeta-0" in said[4]


def test_tab_offers_no_effort_that_a_model_has_refused(cli: CliRunner, server: Server) -> None:
    refusal = status(400, {"error": {"message": "Unsupported parameter", "param": "reasoning_effort"}})
    server.answers[0:1] = [refusal]
    assert cli.llm("ask", "-m", "groq/zeta-9-mini", "--effort", "high", "hi").out == "ok\n"
    assert list(efforts(workspace_of(cli), "chat -m groq/zeta-9-mini --effort ", "")) == []


def test_the_default_is_one_of_these_and_another_shortly_before_it_ends(cli: CliRunner, server: Server) -> None:
    ran = cli.llm("chat", typed="hi\n")
    assert (ran.code, ran.out) == (0, "ok\n"), ran.err
    assert server.seen[-1].body["model"] == "zeta-9-mini"
    cli.now = lambda: datetime(2029, 5, 20)
    server.answers[0:0] = [status(500), status(500), status(500)]  # its list cannot be asked for
    ran = cli.llm("chat", typed="hi\n")
    assert (ran.code, ran.out) == (0, "ok\n"), ran.err
    assert server.seen[-1].body["model"] == "zeta-9"


def test_the_dates_are_those_of_the_calendar() -> None:
    assert datetime.fromtimestamp(1861920000, UTC).date().isoformat() == "2029-01-01"
