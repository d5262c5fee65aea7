"""Histories that the programs themselves write, against a server on this machine, and what we import of them.

`LLMREPL_PROGRAMS` names a directory with the commands `claude`, `codex`, `gemini`, `llm`, `gptme` and `aider`, such as
links to where pip and npm put them; those that are missing are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_runner import CliRunner
from tests.sessions.importing.echo_server import echoing, reply_to

FIRST, SECOND = "What is ünïcode?", "And in two words?"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with echoing() as url:
        yield url


@pytest.fixture
def program(request: pytest.FixtureRequest) -> str:
    path = Path(os.environ.get("LLMREPL_PROGRAMS", "/nowhere"), str(request.param))
    if not path.exists():
        pytest.skip(f"LLMREPL_PROGRAMS names no directory with {request.param}")
    return str(path)


def run(cli: CliRunner, *words: str, **variables: str) -> None:
    """Run a program in the working directory with its home in ours."""
    path = f"{Path(os.path.realpath(words[0])).parent}:{os.environ['PATH']}"
    environ = {"HOME": str(cli.home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        words, cwd=cli.cwd, env=environ | variables, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace")


def check(cli: CliRunner, path: Path, prompts: list[str], tokens: int, model: str) -> None:
    """Import what was written: the prompts and the replies to them, tokens and model; the file stays as it was."""
    before = path.read_bytes()
    ran = cli.llm("sessions", "import", str(path))
    assert ran.code == 0, ran.err
    assert path.read_bytes() == before
    [session] = [cli.session(one.stem) for one in cli.runs.glob("*.json")]
    said = [tuple(message["content"] for message in turn["messages"]) for turn in session["turns"]]
    assert [prompt for prompt, _ in said] == prompts
    for prompt, reply in said:
        assert reply.startswith("You said: ") and reply.endswith(reply_to(prompt).removeprefix("You said: "))
    assert session["usage_totals"]["total_tokens"] == tokens
    assert session["model"] == model
    assert session["created_at"]


def only(directory: Path, pattern: str) -> Path:
    [path] = directory.glob(pattern)
    return path


@pytest.mark.parametrize("program", ["claude"], indirect=True)
def test_claude_code(cli: CliRunner, program: str, address: str) -> None:
    variables = {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "sk-ant-x"}
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    run(cli, program, "--model", "claude-x", "-p", FIRST, **variables, **quiet)
    run(cli, program, "--model", "claude-x", "--continue", "-p", SECOND, **variables, **quiet)
    path = only(cli.home, ".claude/projects/*/*.jsonl")
    check(cli, path, [FIRST, SECOND], 50, "anthropic/claude-x")


@pytest.mark.parametrize("program", ["codex"], indirect=True)
def test_codex(cli: CliRunner, program: str, address: str) -> None:
    (cli.home / ".codex").mkdir()
    provider = f'name = "x"\nbase_url = "{address}/v1"\nenv_key = "KEY"\nwire_api = "responses"\n'
    (cli.home / ".codex/config.toml").write_text(
        f'model = "gpt-x"\nmodel_provider = "x"\n[model_providers.x]\n{provider}'
    )
    run(cli, program, "exec", "--skip-git-repo-check", FIRST, KEY="x")
    run(cli, program, "exec", "--skip-git-repo-check", "resume", "--last", SECOND, KEY="x")
    check(cli, only(cli.home, ".codex/sessions/*/*/*/rollout-*.jsonl"), [FIRST, SECOND], 36, "openai/gpt-x")


@pytest.mark.parametrize("program", ["gemini"], indirect=True)
def test_gemini_cli(cli: CliRunner, program: str, address: str) -> None:
    (cli.home / ".gemini").mkdir()
    (cli.home / ".gemini/settings.json").write_text('{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
    variables = {"GEMINI_API_KEY": "x", "GOOGLE_GEMINI_BASE_URL": address}
    run(cli, program, "--skip-trust", "-m", "gemini-2.5-flash", "-p", FIRST, **variables)
    check(cli, only(cli.home, ".gemini/tmp/*/chats/session-*"), [FIRST], 18, "gemini/gemini-2.5-flash")


@pytest.mark.parametrize("program", ["llm"], indirect=True)
def test_llm(cli: CliRunner, program: str, address: str) -> None:
    place = cli.home / ".config/io.datasette.llm"
    place.mkdir(parents=True)
    (place / "extra-openai-models.yaml").write_text(
        f'- model_id: fake-model\n  model_name: fake-model\n  api_base: "{address}/v1"\n'
    )
    run(cli, program, "-m", "fake-model", FIRST, OPENAI_API_KEY="x")
    run(cli, program, "-c", SECOND, OPENAI_API_KEY="x")
    check(cli, place / "logs.db", [FIRST, SECOND], 36, "fake-model")


@pytest.mark.parametrize("program", ["gptme"], indirect=True)
def test_gptme(cli: CliRunner, program: str, address: str) -> None:
    words = ("--non-interactive", "--no-stream", "--tools", "none", "--name", "talk", "-m", "local/fake-model")
    run(cli, program, *words, FIRST, OPENAI_API_KEY="x", OPENAI_BASE_URL=f"{address}/v1")
    path = cli.home / ".local/share/gptme/logs/talk/conversation.jsonl"
    prompts = path.read_text().count('"role": "user"')
    answered = "<system>No tool call detected"
    texts = [FIRST] + [text for text in _prompts(path)[1:] if text.startswith(answered)]
    assert len(texts) == prompts
    check(cli, path, texts, 18 * prompts, "local/fake-model")


def _prompts(path: Path) -> list[str]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record["content"] for record in records if record["role"] == "user"]


@pytest.mark.parametrize("program", ["aider"], indirect=True)
def test_aider(cli: CliRunner, program: str, address: str) -> None:
    words = "--no-show-model-warnings --no-show-release-notes --no-check-update --analytics-disable --no-git".split()
    words += ["--yes-always", "--edit-format", "ask", "--model", "openai/gpt-4o-mini", "--message", FIRST]
    run(cli, program, *words, OPENAI_API_KEY="x", OPENAI_API_BASE=f"{address}/v1")
    path = cli.cwd / ".aider.chat.history.md"
    [sent, received] = path.read_text().partition("> Tokens: ")[2].split(" received")[0].split(" sent, ")
    check(cli, path, [FIRST], int(sent) + int(received), "openai/gpt-4o-mini")
