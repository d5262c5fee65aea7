"""A key is shown and stored nowhere but where the user put it, and accidental disclosure is detected."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.cli_runner import CHAT, CliRunner
from tests.providers.loopback import hang_up, serving, sse, status, stream
from tests.security.attack import KEY, tree
from tests.test_journeys import CTRL_C, CTRL_D, ENTER, shell

Answer = Callable[[BaseHTTPRequestHandler], None]

ECHOES: dict[str, Answer] = {
    "a refusal": status(401, {"error": {"message": f"Incorrect API key provided: {KEY}", "param": {KEY: KEY}}}),
    "a bare refusal": status(403, f"no {KEY}"),
    "a redirect": status(302, Location=f"http://127.0.0.1:1/?key={KEY}"),
    "a busy server": status(429, {"error": {"message": f"{KEY} is too quick"}}, Retry_After="900"),
    "an error in the stream": stream(sse({"error": {"message": f"bad {KEY}", "code": KEY}})),
    "an error after text": stream(sse({"choices": [{"delta": {"content": "so"}}]}, {"error": {"message": KEY}})),
    "malformed events": stream(sse(f"{{{KEY}", f"{{{KEY}", f"{{{KEY}", f"{{{KEY}", f"{{{KEY}")),
    "no answer": hang_up,
}


@pytest.mark.parametrize("case", ECHOES)
def test_a_key_repeated_by_the_server_is_neither_shown_nor_saved(cli: CliRunner, case: str) -> None:
    with serving(ECHOES[case]) as server:
        environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "LLM_DEBUG": "1", "LLM_MAX_RETRIES": "0"}
        words = ("chat", "-m", "openai/x", "--keep-going")
        lines = ("hello", ":retry", ":info", ":usage", ":models openai", ":export md", ":sessions list", ":config list")
        ran = cli.script(*lines, words=words, **environ)
        more = [cli.llm(*words, **environ) for words in (("keys", "list"), ("models", "list", "--refresh"))]
    assert server.seen and server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    for one in (ran, *more):
        assert KEY not in one.out + one.err
    assert_nowhere(cli, KEY)


def test_a_key_is_in_no_list_of_processes(cli: CliRunner) -> None:
    """No option takes a key, so none can be passed by habit either."""
    for words in (("ask", "--api-key", KEY, "x"), ("chat", "--key", KEY), ("keys", "set", "openai", KEY)):
        ran = cli.llm(*words)
        assert ran.code == 2
    cli.llm("keys", "set", "openai", typed=f"{KEY}\n")
    with cli.start(*CHAT) as running:
        assert running.stdin
        running.stdin.write(b"hello\n")
        running.stdin.flush()
        process = Path(f"/proc/{running.pid}")
        if process.exists():
            assert KEY.encode() not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        running.communicate(timeout=20)


def test_a_key_from_a_command_is_not_saved(cli: CliRunner) -> None:
    config = cli.home / ".config" / "llm" / "config.toml"
    config.parent.mkdir(parents=True)
    with serving(status(401, {"error": {"message": KEY}})) as server:
        config.write_text(f'[providers.mine]\nbase_url = "{server.url}"\napi_key_cmd = "rev {cli.home}/vault"\n')
        (cli.home / "vault").write_text(f"{KEY[::-1]}\n")
        ran = cli.script("hello", words=("chat", "-m", "mine/x"), LLM_DEBUG="1")
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert "mine" in ran.err and KEY not in ran.out + ran.err
    assert_nowhere(cli, KEY)


def test_a_key_is_typed_hidden_and_saved_privately(cli: CliRunner) -> None:
    with shell(cli, LLM_MODEL="offline/echo") as terminal:
        terminal.send(":keys set openai" + ENTER)
        terminal.wait_for("Key for openai:")
        terminal.send(KEY + ENTER)
        terminal.wait_for("Key saved. Switch to openai/", "[Y/n]")
        terminal.send("n" + ENTER)
        terminal.wait_for("🤖 Model: offline/echo")
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
        assert KEY.encode() not in terminal.raw
    kept = cli.home / ".config" / "llm" / "keys.json"
    assert KEY in kept.read_text() and stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.unlink()
    assert_nowhere(cli, KEY)


def test_a_secret_in_a_prompt_must_be_confirmed(cli: CliRunner) -> None:
    with shell(cli, "chat", "-m", "offline/echo", "--name", "talk") as terminal:
        for number, answer in enumerate((f"n{ENTER}", ENTER, CTRL_C, CTRL_D), 1):
            terminal.send(f"my key is {KEY}" + ENTER)
            terminal.wait_until(lambda screen, n=number: screen.count("[y/N]") == n)  # type: ignore[misc]
            assert "looks like a secret: OpenAI key (sk-p…efME)" in terminal.text
            terminal.send(answer)
            terminal.wait_until(lambda screen, n=number: screen.count("You:") > n)  # type: ignore[misc]
        assert_nowhere(cli, KEY)
        terminal.send(f"it is {KEY}" + ENTER)
        terminal.wait_until(lambda screen: screen.count("[y/N]") == 5)
        terminal.send("y" + ENTER)
        terminal.wait_until(lambda screen: screen.count("You:") == 6)
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    assert [question for question, _ in cli.said("talk")] == [f"it is {KEY}"]
    assert KEY not in (cli.home / ".local" / "state" / "llm" / "history").read_text()


def test_a_script_prints_a_note_about_a_secret_and_continues(cli: CliRunner) -> None:
    ran = cli.script(f"my key is {KEY}")
    assert (ran.code, ran.out) == (0, f"my key is {KEY}\n")
    assert "looks like a secret: OpenAI key (sk-p…efME)" in ran.err and KEY not in ran.err
    (cli.cwd / "deploy.sh").write_text(f"export OPENAI_API_KEY={KEY}\n")
    assert "looks like a secret" in cli.script(":attach deploy.sh", "what is this?").err
    assert "looks like" not in cli.script("my key is lost").err


def test_a_mistake_of_ours_shows_no_key(cli: CliRunner, tmp_path: Path) -> None:
    """Even with debug logging, a crash report shows locations, not values."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(
        "import llmrepl.chat.turn\nllmrepl.chat.turn.ChatTurn.__iter__ = lambda self: iter([1 / 0])\n"
    )
    path = f"{tmp_path / 'broken'}:{cli.environ['PYTHONPATH']}"
    with serving(status(500)) as server:
        environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "LLM_DEBUG": "1", "PYTHONPATH": path}
        ran = cli.process("chat", "-m", "openai/x", typed=b"hello\n", **environ)
    assert "ZeroDivisionError" in ran.err
    assert KEY not in ran.out + ran.err
    assert_nowhere(cli, KEY)


def assert_nowhere(cli: CliRunner, key: str) -> None:
    """Assert that the key is in no file or file name of the user."""
    for place in (cli.home, cli.cwd):
        held = {name: text for name, text in tree(place).items() if key in name or key.encode() in _raw(text)}
        assert not held


def _raw(held: str | bytes) -> bytes:
    return held if isinstance(held, bytes) else held.encode()


def test_a_secret_in_a_reply_is_masked_while_it_streams_and_when_it_is_saved(cli: CliRunner) -> None:
    secret = "sk-proj-" + "Ab3dEf6hIj9kLm2n" * 3
    chunks = [f"the key is {secret} ", *(f"word{n} " for n in range(40))]
    events = [{"choices": [{"delta": {"content": chunk}}]} for chunk in chunks]
    journals: list[bytes] = []

    def wait() -> None:
        time.sleep(1.2)  # longer than the journal takes
        journals.extend(path.read_bytes() for path in cli.runs.glob(".*.journal"))

    end = sse({"choices": [{"delta": {}, "finish_reason": "stop"}]}, "[DONE]")
    with serving(stream(sse(*events), end, wait=wait)) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY, "LLM_MASK_SECRETS": "true"}
        ran = cli.llm("chat", "-m", "openai/m", "--name", "talk", typed="hello\n", **environ)
    assert ran.code == 0, ran.err
    assert b"word0" in b"".join(journals) and secret.encode() not in b"".join(journals)
    assert secret not in (cli.runs / "talk.json").read_text()
    assert cli.said("talk")[0][1].startswith("the key is ")
