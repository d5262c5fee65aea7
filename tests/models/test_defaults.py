"""Default models are chosen from model lists and prices, whatever their names and the year."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from llmrepl.models.defaults import ModelCandidate, choose, version
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, serving, sse, status, stream

YEAR = 365 * 86_400.0
NOW = datetime(2029, 3, 4).timestamp()


def test_a_cheap_current_chat_model_is_chosen_in_2029() -> None:
    models = [
        ModelCandidate("zeta-9-ultra", 60.0, NOW - 0.1 * YEAR),
        ModelCandidate("zeta-9-quick", 2.0, NOW - 0.2 * YEAR),
        ModelCandidate("zeta-9-quick-image", 2.0, NOW - 0.1 * YEAR),
        ModelCandidate("zeta-9-embed", 0.3, NOW),
        ModelCandidate("zeta-9-quick-preview", 2.0, NOW),
        ModelCandidate("zeta-8-quick", 1.0, NOW - 2 * YEAR),
        ModelCandidate("zeta-9-speck", 0.05, NOW),
        ModelCandidate("zeta-9.5-quick", 2.0, NOW, ends=NOW - 1),
        ModelCandidate("zeta-9.4-quick", 2.0, NOW, deprecated=True),
        ModelCandidate("zeta-9.3", 2.0, NOW, chat=False),
    ]
    assert choose(models, NOW) == "zeta-9-quick"
    assert choose(reversed(models), NOW) == "zeta-9-quick"


def test_without_prices_names_and_dates_decide() -> None:
    assert (
        choose([ModelCandidate("omega-12"), ModelCandidate("omega-12-flash"), ModelCandidate("omega-11-flash")], NOW)
        == "omega-12-flash"
    )
    assert choose([ModelCandidate("a", created=1e9), ModelCandidate("b", created=2e9)], NOW) == "b"
    assert choose([ModelCandidate("only-embedding")], NOW) is None
    assert choose([ModelCandidate("old", deprecated=True)], NOW) == "old", "better than none"
    assert choose([], NOW) is None


def test_the_version_in_a_name() -> None:
    assert version("claude-haiku-5-5") == (5, 5)
    assert version("maker/gpt-5.4-mini-2026-03-05") == (5, 4)
    assert version("model") == ()


def listing(*ids: str) -> dict[str, object]:
    return {"data": [{"id": name, "created": int(NOW), "object": "model"} for name in ids]}


REPLY = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))


def test_the_first_prompt_with_only_a_key_gets_an_answer(cli: CliRunner) -> None:
    """The provider's list decides, not what this program knew at its release."""
    lists = status(200, listing("nova-1-mini", "nova-1-embed"))
    with serving(lists, REPLY) as server:
        environ = {"GROQ_API_KEY": KEY}
        config = cli.home / ".config" / "llm"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(f'[providers.groq]\nbase_url = "{server.url}/v1"\n')
        ran = cli.llm("chat", typed="hi\n", **environ)
        assert (ran.code, ran.out) == (0, "ok\n")
        assert "Model: groq/nova-1-mini" in ran.err
        again = cli.llm("chat", typed="hi\n", **environ)
        assert (again.code, again.out) == (0, "ok\n")
    assert [(one.method, (one.body or {}).get("model")) for one in server.seen] == [
        ("GET", None),
        ("POST", "nova-1-mini"),
        ("POST", "nova-1-mini"),
    ]
    saved = json.loads(next(cli.runs.glob("*.json")).read_text())
    assert saved["model"] == "groq/nova-1-mini"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (404, {"message": "no such model", "code": "model_not_found"}),
        (400, {"message": "The model has been decommissioned.", "code": "model_decommissioned"}),
        (400, {"message": "Model Not Exist"}),
        (410, {"message": "This model has been retired."}),
    ],
)
def test_a_default_that_is_retired_is_replaced_when_no_list_tells(
    cli: CliRunner, code: int, error: dict[str, str]
) -> None:
    gone = status(code, {"error": error})
    with serving(status(404), gone, gone, REPLY) as server:
        config = cli.home / ".config" / "llm"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(f'[providers.groq]\nbase_url = "{server.url}/v1"\n')
        ran = cli.llm("chat", typed="hi\n", GROQ_API_KEY=KEY)
    assert (ran.code, ran.out) == (0, "ok\n"), ran.err
    asked = [one.body["model"] for one in server.seen if one.method == "POST"]
    assert len(asked) == len(set(asked)) == 3
    assert json.loads(next(cli.runs.glob("*.json")).read_text())["model"] == f"groq/{asked[-1]}"


@pytest.mark.parametrize("named", [{"LLM_MODEL": "groq/mine"}, {}])
def test_a_model_that_the_user_named_is_never_replaced(cli: CliRunner, named: dict[str, str]) -> None:
    with serving(status(404, {"error": {"message": "gone", "code": "model_not_found"}})) as server:
        config = cli.home / ".config" / "llm"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(f'[providers.groq]\nbase_url = "{server.url}/v1"\n')
        words = ("chat",) if named else ("chat", "-m", "groq/mine")
        ran = cli.llm(*words, typed="hi\n", GROQ_API_KEY=KEY, **named)
    assert ran.code == 1 and [one.body["model"] for one in server.seen] == ["groq/mine".partition("/")[2]]
