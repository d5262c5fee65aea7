"""Complete sessions at a real terminal, including those that end badly."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli_runner import LLM, CliRunner
from tests.terminal import Terminal

CTRL_C, CTRL_D, ENTER = "\x03", "\x04", "\r"


@contextmanager
def shell(cli: CliRunner, *words: str, **environ: str) -> Iterator[Terminal]:
    """Start `llm WORDS` in a terminal and wait for its prompt."""
    with Terminal([*LLM, *words], cwd=cli.cwd, environ=cli.environ | environ) as terminal:
        terminal.wait_for("You:")
        yield terminal


class SlowServer(ThreadingHTTPServer):
    """An OpenAI-compatible server with endless replies: a word every 30 ms.

    The model `20-words` ends after 20, and so does `20-rows`, which sends a table row by row.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Slow)
        self.left = threading.Event()

    @property
    def environ(self) -> dict[str, str]:
        return {"OPENAI_BASE_URL": f"http://127.0.0.1:{self.server_port}/v1", "OPENAI_API_KEY": "k"}


class _Slow(BaseHTTPRequestHandler):
    server: SlowServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = 20 if asked["model"].startswith("20-") else 2000
        piece = "| row{0} | a cell of some words end{0} |\n" if asked["model"] == "20-rows" else "word{0} "
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for number in range(words):
                head = "| name | value |\n| --- | --- |\n" if number == 0 and asked["model"] == "20-rows" else ""
                delta = {"choices": [{"index": 0, "delta": {"content": head + piece.format(number)}}]}
                self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
                self.wfile.flush()
                time.sleep(0.03)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.left.set()

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    server = SlowServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def only_turn(cli: CliRunner) -> tuple[str, str, str]:
    """Return prompt, reply and finish reason of the only turn."""
    [name] = [name for name in cli.files("runs") if name.endswith(".json")]
    [turn] = cli.session(name.removesuffix(".json"))["turns"]
    return (*(message["content"] for message in turn["messages"]), turn["finish_reason"])


def test_the_first_visit(cli: CliRunner) -> None:
    with shell(cli) as terminal:
        screen = terminal.wait_for("💾 Session will be saved to ./runs/session_", "Type ':help' for commands")
        assert "🤖 Starting chat with offline/guide" in screen
        assert "There is no key yet, so the guide answers. ':keys set openrouter' saves one." in screen
        terminal.send("how do I export a session to markdown?" + ENTER)
        terminal.wait_for("export")
        terminal.wait_until(lambda screen: screen.count("You:") == 2)
        terminal.send(":save my first session" + ENTER)
        terminal.wait_for("error: A name with spaces needs quotes")
        terminal.send(":save my_first_session" + ENTER)
        terminal.wait_for("💾 Session saved to ./runs/my_first_session.json")
        terminal.send(":sessions list" + ENTER)
        terminal.wait_for("Sessions (1 found)", "my_first_session.json")
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    assert cli.files("runs") == ["my_first_session.json"]
    with shell(cli) as terminal:
        terminal.send(":load my_f\t" + ENTER)
        terminal.wait_for("🔄 Resuming session: my_first_session.json", "[Previous conversation context is loaded]")
        terminal.send(CTRL_D)
        assert terminal.ends() == 0


def test_ctrl_c_stops_a_reply_keeps_its_part_and_comes_back_to_the_prompt(cli: CliRunner, slow: SlowServer) -> None:
    with shell(cli, "chat", "-m", "openai/slow", **slow.environ) as terminal:
        terminal.send("go on" + ENTER)
        terminal.wait_for("word3")
        pressed = time.monotonic()
        terminal.send(CTRL_C)
        terminal.wait_until(lambda screen: screen.count("You:") == 2)
        assert time.monotonic() - pressed < 0.5
        assert slow.left.wait(2), "the connection was not closed"
        shown = terminal.text
        assert "stopped; the part that came is kept" in shown
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    question, answer, reason = only_turn(cli)
    assert (question, reason) == ("go on", "interrupted")
    assert answer.startswith("word0 word1 word2 word3")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "the window is closed"])
def test_a_shell_that_is_ended_in_mid_reply_saves_and_dies_of_it(cli: CliRunner, slow: SlowServer, how: str) -> None:
    with shell(cli, "chat", "-m", "openai/slow", **slow.environ) as terminal:
        terminal.send("go on" + ENTER)
        terminal.wait_for("word3")
        if how == "the window is closed":
            terminal.close()
        else:
            terminal.signal(getattr(signal, how))
        assert terminal.ends(3) == -(signal.SIGTERM if how == "SIGTERM" else signal.SIGHUP)
    question, answer, reason = only_turn(cli)
    assert (question, reason) == ("go on", "interrupted")
    assert answer.startswith("word0 word1 word2 word3")
    assert [name for name in cli.files("runs") if name.startswith(".")] == []


@pytest.mark.parametrize("words", [(), ("chat",)])
@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "the window is closed"])
def test_a_shell_that_is_ended_at_the_prompt_saves_and_dies_of_it(
    cli: CliRunner, how: str, words: tuple[str, ...]
) -> None:
    with shell(cli, *words, LLM_MODEL="offline/echo") as terminal:
        terminal.send(":save talk" + ENTER + "hello there" + ENTER)
        terminal.wait_until(lambda screen: screen.count("You:") == 3)
        if how == "the window is closed":
            terminal.close()
        else:
            terminal.signal(getattr(signal, how))
        assert terminal.ends(3) == -(signal.SIGTERM if how == "SIGTERM" else signal.SIGHUP)
        assert b"Traceback" not in terminal.raw
    assert cli.said("talk") == [("hello there", "hello there")]
    assert cli.files("runs") == ["talk.json"]


def test_after_kill_9_in_mid_reply_the_next_start_has_the_question_and_the_part(
    cli: CliRunner, slow: SlowServer
) -> None:
    with shell(cli, "chat", "-m", "openai/slow", "--name", "talk", **slow.environ) as terminal:
        terminal.send("go on" + ENTER)
        terminal.wait_for("word40")
        terminal.signal(signal.SIGKILL)
        terminal.ends()
    with shell(cli) as terminal:
        terminal.wait_for("the last reply in talk.json was cut off; it is kept as interrupted")
        terminal.send(":load talk" + ENTER)
        terminal.wait_for("Previous turns: 1")
        terminal.wait_until(lambda screen: screen.count("You:") == 2, "the next prompt")
        terminal.send(":history" + ENTER)
        terminal.wait_for("[1] (interrupted)", "word5")
    question, answer, reason = only_turn(cli)
    assert (question, reason) == ("go on", "interrupted")
    assert answer.startswith("word0 word1 word2 word3")


def test_two_shells_on_one_session(cli: CliRunner) -> None:
    with shell(cli, "chat", "-m", "offline/echo", "--name", "talk") as one:
        one.send("from one" + ENTER)
        one.wait_until(lambda screen: screen.count("You:") == 2)
        with shell(cli, "chat", "-r", "talk") as two:
            two.wait_for("talk.json is open in another shell", "this one continues as talk-2.json")
            two.send("from two" + ENTER)
            two.wait_until(lambda screen: screen.count("from two") >= 2 and screen.count("You:") >= 2)
            two.send(":exit" + ENTER)
            assert two.ends() == 0
        one.send(":exit" + ENTER)
        assert one.ends() == 0
    assert [q for q, _ in cli.said("talk")] == ["from one"]
    assert [q for q, _ in cli.said("talk-2")] == ["from one", "from two"]


SHOWING = (":show evil", ":sessions list", ":load evil", ":history", ":system", ":export md", ":cost detailed")


def test_control_bytes_never_reach_the_terminal(cli: CliRunner) -> None:
    cli.runs.mkdir()
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    messages = [{"role": "user", "content": evil}, {"role": "assistant", "content": evil}]
    meta = {"title": evil, "tags": [evil]}
    session = {"model": f"m{evil}", "system": evil, "turns": [{"messages": messages}], "meta": meta}
    (cli.runs / "evil.json").write_text(json.dumps(session))
    (cli.runs / f"name{chr(27)}[2J.json").write_text(json.dumps(session))
    with shell(cli) as terminal:
        for line in (*SHOWING, ":load na\t", ":show nam"):
            terminal.send(line + ENTER)
            terminal.read(0.15)
        terminal.send(":exit" + ENTER)
        terminal.ends()
    for hidden in (b"\x1b]0;owned", b"\x07", b"\x9b", "\x9b".encode(), "\u202e".encode()):
        assert hidden not in terminal.raw
    assert b"\\x1b]0;owned\\x07" in terminal.raw


def still(terminal: Terminal) -> None:
    """Read until the output is quiet; what is typed earlier would become a draft."""
    seen = -1
    while len(terminal.raw) != seen:
        seen = len(terminal.raw)
        terminal.read(1.0)


@pytest.mark.parametrize("columns", [1, 10, 40])
def test_no_width_is_fatal(cli: CliRunner, columns: int) -> None:
    cli.script("hello", words=("chat", "-m", "offline/echo", "--name", "talk"))
    argv = [*LLM, "chat", "-r", "talk"]
    environ = cli.environ | {"PAGER": "cat"}  # a pager would take the keys that come
    with Terminal(argv, cwd=cli.cwd, environ=environ, columns=columns) as terminal:
        still(terminal)
        for line in (":show", ":sessions list", "日本語 👩‍👩‍👧 one two three", ":help"):
            terminal.send(line + ENTER)
            still(terminal)
        terminal.resize(10, max(1, columns // 2))
        terminal.send("q" * 3 + CTRL_C + ":exit" + ENTER)
        assert terminal.ends() == 0
        assert b"Traceback" not in terminal.raw
    assert cli.said("talk")[-1][0] == "日本語 👩‍👩‍👧 one two three"


def test_without_colour_or_on_a_dumb_terminal_there_are_no_escape_codes_in_replies(cli: CliRunner) -> None:
    for environ in ({"TERM": "dumb"}, {"ACCESSIBLE": "1"}):
        argv = [*LLM, "sessions", "list"]
        with Terminal(argv, cwd=cli.cwd, environ=cli.environ | environ) as terminal:
            assert terminal.ends() == 0
            assert b"\x1b" not in terminal.raw


def test_the_terminal_is_given_back_as_it_was(cli: CliRunner, slow: SlowServer) -> None:
    """Compare stty before and after the shell, for each way to exit."""
    llm = " ".join(LLM)
    script = f"trap : INT; stty -a > before; {llm} chat -m openai/slow; stty -a > after; echo over"
    for way in (":exit" + ENTER, CTRL_D):
        with Terminal(["sh", "-c", script], cwd=cli.cwd, environ=cli.environ | slow.environ) as terminal:
            terminal.wait_for("You:")
            terminal.send("go on" + ENTER)
            terminal.wait_for("word2")
            terminal.send(CTRL_C)
            terminal.wait_until(lambda screen: screen.count("You:") == 2)
            terminal.send(way)
            terminal.wait_for("over")
        assert (cli.cwd / "after").read_text() == (cli.cwd / "before").read_text()


def test_what_is_entered_while_a_command_works_is_run_after_it_and_several_lines_wait(cli: CliRunner) -> None:
    with shell(cli, LLM_MODEL="offline/echo") as terminal:
        terminal.send(":attach !sleep 0.6" + ENTER)
        terminal.read(0.2)
        terminal.send(":attach --clear" + ENTER)
        terminal.wait_for("You: :attach --clear", "nothing is attached")
        terminal.wait_until(lambda screen: screen.count("You:") == 3, "the next prompt")
        terminal.send(":attach !sleep 0.6" + ENTER)
        terminal.read(0.2)
        terminal.send("pasted" + ENTER + "lines" + ENTER)
        terminal.wait_for("You: pasted\n     lines")
        terminal.send(CTRL_C + ":exit" + ENTER)
        assert terminal.ends() == 0
    assert cli.files("runs") == []


def test_what_is_typed_during_a_reply_is_the_next_draft_and_not_sent(cli: CliRunner, slow: SlowServer) -> None:
    for model, stop in (("openai/20-words", ""), ("openai/slow", CTRL_C)):
        with shell(cli, "chat", "-m", model, **slow.environ) as terminal:
            terminal.send("go on" + ENTER)
            terminal.wait_for("word2")
            terminal.send("my next" + ENTER)
            terminal.read(0.1)
            terminal.send(stop)
            terminal.wait_for("You: my next")
            terminal.send(CTRL_C + ":exit" + ENTER)
            assert terminal.ends() == 0
        assert only_turn(cli)[0] == "go on"
        (cli.runs / cli.files("runs")[0]).unlink()


def test_a_line_typed_while_a_dumb_terminal_starts_is_entered(cli: CliRunner) -> None:
    environ = cli.environ | {"LLM_MODEL": "offline/echo", "TERM": "dumb"}
    with Terminal(LLM, cwd=cli.cwd, environ=environ) as terminal:
        terminal.send("early" + ENTER)
        terminal.wait_for("You: early")
        terminal.wait_until(lambda screen: screen.count("You:") == 2)
        terminal.send("late" + ENTER)
        terminal.wait_until(lambda screen: screen.count("You:") == 3)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    [session] = (cli.cwd / "runs").glob("*.json")
    turns = json.loads(session.read_bytes())["turns"]
    assert [turn["messages"][0]["content"] for turn in turns] == ["early", "late"]


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_what_is_typed_while_the_shell_starts_is_a_draft_below_the_banner(cli: CliRunner, term: str) -> None:
    environ = cli.environ | {"LLM_MODEL": "offline/echo", "TERM": term}
    with Terminal(LLM, cwd=cli.cwd, environ=environ) as terminal:
        terminal.send("early")
        screen = terminal.wait_for("You: early")
        assert "early🤖" not in screen
        terminal.send(" bird" + ENTER)
        terminal.wait_until(lambda screen: screen.count("You:") == 2)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    [session] = (cli.cwd / "runs").glob("*.json")
    [turn] = json.loads(session.read_bytes())["turns"]
    assert turn["messages"][0]["content"] == "early bird"


def test_an_error_of_the_command_line_has_its_hint_on_a_line_of_its_own(cli: CliRunner) -> None:
    with Terminal([*LLM, "chat", "hello"], cwd=cli.cwd, environ=cli.environ) as terminal:
        assert terminal.ends() == 2
        assert "\n  llm ask hello asks one question" in terminal.text
