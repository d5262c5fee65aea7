"""The command line: options, directories, exit codes, and missing standard streams."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from llmrepl import __version__
from tests.cli_runner import CHAT, LLM, CliRunner

NAMED = (*CHAT, "--name", "talk")


def test_version(cli: CliRunner) -> None:
    assert cli.process("--version").out == f"llmrepl {__version__}\n"


@pytest.mark.parametrize("words", [("--help",), ("help",), ("-h",), ("help", "chat"), ("chat", "--help")])
def test_help(cli: CliRunner, words: tuple[str, ...]) -> None:
    ran = cli.llm(*words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("what is a monad",), "Unknown command 'what is a monad'. To ask one question: llm ask \"what is a monad\""),
        (
            ("what", "is", "a", "monad"),
            "Unknown command 'what is a monad'. To ask one question: llm ask \"what is a monad\"",
        ),
        (
            ("explain", "this", "-m", "x"),
            "Unknown command 'explain this'. To ask one question: llm ask \"explain this\"",
        ),
        (("sesions", "list"), "Unknown command 'llm sesions'. Did you mean 'llm sessions'?"),
        (("list",), "Unknown command 'llm list'. Did you mean 'llm sessions list'?"),
        (("version",), "Unknown command 'llm version'. Did you mean 'llm --version'?"),
        (("logs",), "Unknown command 'llm logs'. Did you mean 'llm sessions list'?"),
        (("whatever",), "Unknown command 'llm whatever'. llm help lists the commands"),
        (("xyzzy",), "Unknown command 'llm xyzzy'. llm help lists the commands"),
        (("conifg",), "Unknown command 'llm conifg'. Did you mean 'llm config'?"),
        (("what is a monad",), "Unknown command 'what is a monad'. To ask one question: llm ask \"what is a monad\""),
        (("what is $x",), "Unknown command 'what is $x'. To ask one question: llm ask 'what is $x'"),
        (("list",), "Unknown command 'llm list'. Did you mean 'llm sessions list'?"),
        (("version",), "Unknown command 'llm version'. Did you mean 'llm --version'?"),
        (("sessions", "shwo"), "Unknown command 'llm sessions shwo'. Did you mean 'llm sessions show'?"),
        (("save", "x"), "'llm save' does not work outside the shell. :save works at the prompt, which llm starts"),
        (("chat", "--nonsense"), "'llm chat' has no option '--nonsense'. llm chat --help shows what it takes"),
        (("fork", "x"), "'llm fork' does not work outside the shell. llm sessions fork works on a saved session"),
        (("load", "x"), "'llm load' does not work outside the shell. llm sessions resume works on a saved session"),
        (
            ("chat", "hello", "you"),
            "'llm chat' takes no arguments, but got 'hello'. llm ask 'hello you' asks one question",
        ),
        (
            ("ask", "--name", "a/b", "x"),
            "A session name cannot contain / or \\. llm export FORMAT PATH writes elsewhere",
        ),
        (
            ("ask", "-f", "http://127.0.0.1:1/", "x"),
            "127.0.0.1 is a private address, so nothing was fetched. "
            "--allow-private fetches a page of your own network",
        ),
        (
            ("ask", "-m", "nope", "hi"),
            "'nope' is neither provider/model nor an alias. "
            "Write it as provider/model, such as openai/gpt-4o-mini: llm models list shows them",
        ),
        (
            ("export", "foo"),
            "There is no export format 'foo'. llm export FORMAT takes txt, md, csv, json, html, jsonl",
        ),
        (("config", "set", "session_dir"), "Which value? llm config set session_dir VALUE"),
        (
            ("sessions", "list", "--json"),
            "'llm sessions list' has no option '--json'. llm sessions list --format json prints JSON",
        ),
        (
            ("sessions", "stats", "--format", "json"),
            "'llm sessions stats' has no option '--format'. llm sessions stats --json prints JSON",
        ),
        (("search",), "Which text? For example llm sessions search decorators"),
        (("chat", "-m"), "'--model' needs a value. llm chat --model MODEL"),
        (("ask",), 'Which question? For example llm ask "what is a monad"'),
        (
            ("chat", "--name", "x", "-c"),
            "--name is for a new session, and -r and -c resume one. Leave one of them out",
        ),
        (
            ("chat", "--name", "a/b"),
            "A session name cannot contain / or \\. llm export FORMAT PATH writes elsewhere",
        ),
        (
            ("chat", "--name", "\udcff"),
            "A session name cannot contain control or invisible characters. Choose another name",
        ),
        (
            ("chat", "-r", "nowhere"),
            "There is no session nowhere in {cwd}/runs. llm sessions list shows those there are",
        ),
        (("chat", "-c"), "No sessions in {cwd}/runs yet. llm sessions list --all looks everywhere"),
        (
            ("sessions", "show", "x.json"),
            "There is no session x.json in {cwd}/runs. llm sessions list shows those there are",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(cli: CliRunner, words: tuple[str, ...], said: str) -> None:
    ran = cli.llm(*words, typed="hello\n" if words[0] == "chat" else "")
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {said.format(cwd=cli.cwd)}\n")
    assert cli.files() == []


@pytest.mark.parametrize("model", ["nonsense/x", "openai/gpt-4o-mini", "nonsense", "offline/nonsense"])
def test_an_unavailable_model_is_a_usage_error(cli: CliRunner, model: str) -> None:
    ran = cli.llm("chat", "-m", model, typed="hello\n")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) == 1
    assert cli.files() == []


def test_a_missing_key_is_no_error_before_a_prompt_would_be_sent(cli: CliRunner) -> None:
    ran = cli.llm("chat", "-m", "openai/gpt-4o-mini", typed=":help\n:model\n")
    assert (ran.code, ran.err) == (0, "")


def test_the_name_of_an_existing_session_is_refused(cli: CliRunner) -> None:
    cli.script("one", words=NAMED)
    before = (cli.runs / "talk.json").read_bytes()
    ran = cli.script("two", words=NAMED)
    assert (ran.code, ran.err) == (2, "error: A session talk.json exists. Choose another name\n")
    assert (cli.runs / "talk.json").read_bytes() == before


@pytest.mark.parametrize("words", ["-r talk", "-r talk.json", "-r runs/talk.json", "-r ta", "-c"])
def test_resume_goes_on_with_a_session(cli: CliRunner, words: str) -> None:
    cli.script("one", words=NAMED)
    ran = cli.script("two", words=("chat", *words.split()))
    assert (ran.code, ran.out) == (0, "two\n")
    assert cli.said("talk") == [("one", "one"), ("two", "two")]


def test_options_apply_to_a_session_that_is_resumed(cli: CliRunner) -> None:
    cli.script("one", words=NAMED)
    cli.script("hello", words=("chat", "-r", "talk", "-m", "offline/guide", "-s", "Be brief."))
    session = cli.session("talk")
    assert (session["model"], session["system"], len(session["turns"])) == ("offline/guide", "Be brief.", 2)


def test_where_sessions_are_saved(cli: CliRunner) -> None:
    config = cli.home / ".config" / "llm" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('session_dir = "~/from-config"\n')
    cli.script("one", words=NAMED)
    cli.script("two", words=NAMED, LLM_SESSIONS_DIR="from-environment")
    cli.script("three", words=(*NAMED, "--save-dir", "from/option"), LLM_SESSIONS_DIR="from-environment")
    assert cli.files() == ["from-environment/talk.json", "from/option/talk.json"]
    assert (cli.home / "from-config" / "talk.json").is_file()


def test_no_save_keeps_nothing(cli: CliRunner) -> None:
    ran = cli.script("one", ":history", words=(*CHAT, "--no-save"))
    assert ran.code == 0
    assert cli.files() == []
    assert not list(cli.home.rglob("*.json"))


def test_no_save_can_be_left_by_saving(cli: CliRunner) -> None:
    cli.script("one", ":save kept", "two", words=(*CHAT, "--no-save"))
    assert cli.said("kept") == [("one", "one"), ("two", "two")]


def test_nothing_in_particular_makes_a_directory(cli: CliRunner) -> None:
    for words in (("sessions", "list"), ("config", "list"), ("config", "path"), ("help",)):
        cli.llm(*words)
    cli.script(":help", ":model", ":history")
    assert list(cli.cwd.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_what_is_written_is_private(cli: CliRunner, umask: int) -> None:
    before = os.umask(umask)
    try:
        cli.script("one", ":export md out.md", words=(*NAMED, "--save-dir", "a/b"))
    finally:
        os.umask(before)
    modes = {str(p.relative_to(cli.cwd)): stat.S_IMODE(p.stat().st_mode) for p in cli.cwd.rglob("*")}
    assert modes == {"a": 0o700, "a/b": 0o700, "a/b/talk.json": 0o600, "out.md": 0o600}


DAMAGED = {
    "empty": b"",
    "nuls": b"\0" * 100,
    "cut": b'{"model": "m", "turns": [',
    "foreign": b'{"name": "package", "version": "1.0"}',
    "list": b"[1, 2]",
    "binary": b"\x89PNG\r\n\x1a\n\xff",
    "nested": b"[" * 1_000_000,
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("words", [("chat", "-r", "bad"), ("sessions", "show", "bad"), ("sessions", "resume", "bad")])
def test_a_damaged_session_is_refused_with_exit_3_and_untouched(
    cli: CliRunner, case: str, words: tuple[str, ...]
) -> None:
    cli.runs.mkdir()
    (cli.runs / "bad.json").write_bytes(DAMAGED[case])
    ran = cli.llm(*words, typed="hello\n")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("error: bad.json is damaged (")
    assert ran.err.endswith("nothing was changed; 'llm sessions recover bad.json' brings back what can be read\n")
    assert cli.files() == ["runs/bad.json"]
    assert (cli.runs / "bad.json").read_bytes() == DAMAGED[case]


def test_a_session_in_use_stops_a_script_with_exit_6(cli: CliRunner) -> None:
    with cli.start(*NAMED) as first:
        assert first.stdin and first.stdout
        first.stdin.write(b"one\n")
        first.stdin.flush()
        assert first.stdout.readline() == b"one\n"
        for lines, words in ((("two",), ("chat", "-r", "talk")), ((":load talk",), CHAT)):
            ran = cli.script(*lines, words=words)
            assert (ran.code, ran.out) == (6, "")
            assert f"talk.json is open in another shell (pid {first.pid})" in ran.err
        assert cli.llm("sessions", "show", "talk").code == 0
        first.communicate(b"three\n")
    assert cli.said("talk") == [("one", "one"), ("three", "three")]


@pytest.mark.parametrize("words", [("-r", "talk"), ()])
def test_a_directory_that_cannot_be_written_stops_a_script_before_it_sends(
    cli: CliRunner, words: tuple[str, ...]
) -> None:
    cli.runs.write_text("a file")
    ran = cli.script("hello", words=(*CHAT, *words))
    assert (ran.code if not words else 4, ran.out) == (4, "")
    assert cli.runs.read_text() == "a file"
    if not words:
        assert ran.err == (
            "error: cannot write in ./runs: runs is not a directory; "
            "start with --no-save, or choose another directory with --save-dir\n"
        )


def test_a_closed_pipe_ends_quietly_and_keeps_the_conversation(cli: CliRunner) -> None:
    typed = "".join(f"question {n} {'x' * 2000}\n" for n in range(100))
    read = subprocess.run(
        f"{' '.join(LLM)} {' '.join(NAMED)} | head -1", input=typed.encode(), shell=True, cwd=cli.cwd,
        env=cli.environ, capture_output=True, timeout=60,
    )  # fmt: skip
    assert read.stdout.startswith(b"question 0 ")
    assert read.stderr == b""
    assert cli.said("talk")[0][0].startswith("question 0 ")
    assert [name for name in cli.files("runs") if name.endswith((".tmp", ".journal"))] == []


def test_output_that_cannot_be_written_is_one_line(cli: CliRunner) -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [*LLM, *NAMED], input=b"hello\nand on\n", stdout=full, stderr=subprocess.PIPE, cwd=cli.cwd,
            env=cli.environ,
        )  # fmt: skip
    assert ran.returncode == 1
    assert b"Traceback" not in ran.stderr and b"Errno" not in ran.stderr
    assert b"no space left on device" in ran.stderr
    assert cli.said("talk")[0][0] == "hello"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_not_there_is_no_traceback(cli: CliRunner, closed: str) -> None:
    ran = subprocess.run(
        f"printf 'hello\\n:save\\n' | {' '.join(LLM)} {' '.join(NAMED)} {closed}", shell=True, cwd=cli.cwd,
        env=cli.environ, capture_output=True, timeout=60,
    )  # fmt: skip
    assert b"Traceback" not in ran.stderr
    assert ran.returncode == 0
    if "<&-" not in closed:
        assert cli.said("talk") == [("hello", "hello")]


@pytest.mark.parametrize(
    "environ",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "1", "LINES": "1"},
        {"COLUMNS": "0"},
        {"TERM": "dumb"},
        {"NO_COLOR": "1"},
    ],
)
def test_no_locale_and_no_width_is_fatal_and_pipes_get_no_escape_codes(cli: CliRunner, environ: dict[str, str]) -> None:
    typed = "caf\u00e9 🙂\n:save\n:show\n:history\n:set\n:help\n:cost detailed\n"
    ran = cli.process(*NAMED, typed=typed.encode(), **environ)
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.out + ran.err
    assert cli.said("talk") == [("café 🙂", "café 🙂")]


def test_a_last_line_without_an_end_is_answered(cli: CliRunner) -> None:
    assert cli.process(*NAMED, typed=b"hello").out == "hello\n"
    assert cli.process(*CHAT, typed=b"").code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_shell_of_that_signal_with_everything_saved(cli: CliRunner, number: int) -> None:
    with cli.start(*NAMED) as shell:
        assert shell.stdin and shell.stdout
        shell.stdin.write(b"one\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == b"one\n"
        began = time.monotonic()
        shell.send_signal(number)
        assert shell.wait(5) == -number
        assert time.monotonic() - began < 2
        assert shell.stderr and shell.stderr.read() == b""
    assert cli.files("runs") == ["talk.json"]
    assert cli.said("talk") == [("one", "one")]


def test_ask_answers_one_question_with_what_is_piped_as_context(cli: CliRunner) -> None:
    ran = cli.llm("ask", "-m", "offline/echo", "what", "is", "this?", typed="a text\n")
    assert (ran.code, ran.out) == (0, "what is this?\n\na text\n")
    assert cli.files() == []


def test_ask_is_saved_as_a_session_on_request(cli: CliRunner) -> None:
    ran = cli.llm("ask", "-m", "offline/echo", "--name", "once", "hello")
    assert ran.code == 0
    assert cli.said("once") == [("hello", "hello")]
    [event] = cli.llm("ask", "-m", "offline/echo", "--json", "hi").events
    assert (event["response"], event["session"]) == ("hi", None)


@pytest.mark.parametrize("option", [("--save",), ("--name", "once")])
def test_ask_does_not_pretend_to_save(cli: CliRunner, option: tuple[str, ...]) -> None:
    ran = cli.llm("ask", "-m", "offline/echo", *option, "hello", LLM_SAVE_SESSIONS="0")
    assert (ran.code, ran.out) == (2, "") and "Nothing is saved here" in ran.err
    ran = cli.script("one", f":ask {' '.join(option)} hello", words=CHAT)
    assert (ran.code, ran.out) == (2, "one\n") and "A session is open here" in ran.err
    assert len(cli.files("runs")) == 1


def test_ask_json_is_exactly_one_object(cli: CliRunner) -> None:
    ran = cli.llm("ask", "-m", "offline/echo", "-s", "Be brief.", "--json", "--name", "kept", "hi", "there")
    [answer] = ran.events
    usage = answer.pop("usage")
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert answer.pop("latency_ms") >= 0
    assert answer == {
        "question": "hi there",
        "response": "hi there",
        "model": "offline/echo",
        "system": "Be brief.",
        "estimated_cost_usd": 0.0,
        "finish_reason": "stop",
        "session": "kept.json",
        "turn": 1,
        "event": "reply",
    }


@pytest.mark.parametrize(
    ("words", "code"), [(("-m", "openai/x", "hi"), 2), (("-m", "nope/x", "hi"), 2), (("-m", "offline/echo"), 2)]
)
def test_a_failed_ask_json_is_one_object_too(cli: CliRunner, words: tuple[str, ...], code: int) -> None:
    ran = cli.llm("ask", "--json", *words)
    [answer] = ran.events
    assert ran.code == answer["error"]["code"] == code
    assert set(answer) == {"question", "error"} and answer["question"] == ("hi" if words[-1] == "hi" else "")
    assert set(answer["error"]) == {"message", "hint", "reason", "code"} and answer["error"]["message"]
    assert ran.err.startswith("error: ")


def test_what_a_killed_shell_left_is_there_at_the_next_start(cli: CliRunner) -> None:
    with cli.start(*NAMED) as shell:
        assert shell.stdin and shell.stdout
        shell.stdin.write(b"one\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == b"one\n"
        shell.kill()
    ran = cli.llm("sessions", "list")
    assert ran.code == 0
    assert "talk" in ran.out
    assert cli.files("runs") == ["talk.json"]
    assert cli.said("talk") == [("one", "one")]


def test_a_mistake_of_ours_is_one_line_and_the_conversation_goes_on(cli: CliRunner, tmp_path: Path) -> None:
    turns = [{"messages": [{"role": "user", "content": None}]}, {"messages": []}]
    session = {"model": "offline/echo", "turns": turns, "meta": {"tags": 3, "context_start": "x"}, "created_at": None}
    cli.runs.mkdir()
    (cli.runs / "odd.json").write_text(json.dumps(session))
    for line in (":show odd", ":load odd", ":history", ":retry", ":undo", ":cost", ":export md", ":reset"):
        ran = cli.script(f"{line}", words=(*CHAT, "--keep-going"))
        assert "something went wrong" not in ran.err, ran.err
    ran = cli.script(":history", ":cost detailed", ":export md", ":export txt", ":export csv", ":export html",
                          ":show", "on", ":reset", "and on", words=("chat", "-r", "odd"))  # fmt: skip
    assert (ran.code, "went wrong" in ran.err) == (0, False), ran.err


def test_a_new_session_is_not_named_by_nothing(cli: CliRunner) -> None:
    ran = cli.llm("chat", "-m", "offline/echo", "--name=", typed="hello\n")
    assert ran.code == 2
    assert "cannot be empty" in ran.err
    assert cli.files() == []
