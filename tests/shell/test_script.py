"""Scripts: each piped line is an input and is answered in order."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.commands.line import CommandLine, Prompt, inputs, parse
from tests.cli_runner import CHAT, CliRunner

NAMED = (*CHAT, "--name", "talk")


PROMPTS = """[prompts]
mail = "Write to {who} in a {tone:friendly} tone."
review = "Review this $1 code."
block = "a\\n\\"\\"\\"\\n:cost"
"""


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (":run mail who=Ada", 0, "Write to Ada in a friendly tone.\n"),
        (":run mail tone=dry who={tone}", 0, "Write to {tone} in a dry tone.\n"),
        (":run mail", 2, "error: The prompt mail needs a value. ':run mail who=TEXT' gives it\n"),
        (":run mail who=", 2, "error: The prompt mail needs a value. ':run mail who=TEXT' gives it\n"),
        (
            ":run mail wo=Ada",
            2,
            "error: The prompt mail has no place for wo=Ada. ':run mail who=TEXT tone=TEXT' sends it\n",
        ),
        (":run review Rust", 0, "Review this Rust code.\n"),
        (":run review", 2, "error: The prompt review needs a value. ':run review TEXT' gives it\n"),
        (":run block", 0, 'a\n"""\n:cost\n'),
    ],
)
def test_a_saved_prompt_is_sent_complete_or_not_at_all(cli: CliRunner, line: str, code: int, said: str) -> None:
    config = cli.home / ".config" / "llm" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(PROMPTS)
    ran = cli.script(line)
    assert (ran.code, ran.err if code else ran.out) == (code, said)


@pytest.mark.parametrize("lines", [b"one\n\0two\n", "ok\n".encode("utf-16-le"), "\u4f60\n\u597d\n".encode("utf-16-le")])
@pytest.mark.parametrize("way", ["pipe", "run", "ask"])
def test_what_is_not_text_is_not_sent(cli: CliRunner, lines: bytes, way: str) -> None:
    (cli.cwd / "script").write_bytes(lines)
    words = ("ask", "-m", "offline/echo", "hi") if way == "ask" else CHAT
    ran = cli.process(*words, typed=b":run script\n" if way == "run" else lines)
    assert ran.code == 2 and "not UTF-8 text" in ran.err and "\0" not in ran.out and "x00" not in ran.out


def test_the_exit_code_tells_that_saving_failed_at_the_end(cli: CliRunner) -> None:
    cli.runs.mkdir()
    turn = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "x" * (300 << 10)}]}
    session = {"model": "offline/echo", "created_at": "2026-01-01T10:00:00", "turns": [turn]}
    (cli.runs / "large.json").write_text(json.dumps(session))

    def lines() -> Iterator[str]:
        yield "one\n"
        cli.runs.rename(cli.cwd / "away")
        cli.runs.write_text("in the way")

    ran = cli.llm(*CHAT, "-r", "large", typed=lines())
    assert (ran.code, ran.out) == (4, "one\n")
    assert "is not saved" in ran.err


def test_an_endless_script_is_refused(cli: CliRunner) -> None:
    ran = cli.script(":run /dev/zero")
    assert ran.code == 2 and "/dev/zero is longer than 20 million characters" in ran.err


def prompts(script: str) -> list[str]:
    """Return the prompts of a script as the model receives them."""
    parsed = [parse(text) for text in inputs(io.StringIO(script, newline=""))]
    return [p.text for p in parsed if isinstance(p, Prompt)]


GRAMMAR = {
    "each line is an input": ("one\ntwo\n", ["one", "two"]),
    "blank lines are skipped": ("\n  \none\n\n\t\n", ["one"]),
    "a comment is skipped": (":# not this\n  :# nor this\none\n", ["one"]),
    "a first line for the kernel is skipped": ("#!/usr/bin/env llm chat\none\n", ["one"]),
    "a later one is a prompt": ("one\n#! two\n", ["one", "#! two"]),
    "a last line without an end counts": ("one\ntwo", ["one", "two"]),
    "the blanks around a line are not sent": ("  one \n", ["one"]),
    "a prompt with a colon": ("::one\n", [":one"]),
    "a prompt with two colons": (":::one\n", ["::one"]),
    "lines that end as on Windows": ("one\r\ntwo\r\n", ["one", "two"]),
    "a byte order mark": ("\ufeffone\n", ["one"]),
    "a byte order mark before #!": ("\ufeff#!x\none\n", ["one"]),
    "a block is one prompt": ('"""\none\n\n  two\n"""\nthree\n', ["one\n\n  two", "three"]),
    "a block of one line": ('"""\none\n"""\n', ["one"]),
    "commands in a block are text": ('"""\n:exit\n"""\n', [":exit"]),
    "also when they are indented": ('"""\n  :exit\n"""\n', [":exit"]),
    "also after a blank line": ('"""\n\n:exit\nnow\n"""\n', ["\n:exit\nnow"]),
    "two colons in a block stay": ('"""\n::one\n"""\n', ["::one"]),
    "also in a longer block": ('"""\n::one\ntwo\n"""\n', ["::one\ntwo"]),
    "a comment in a block is text": ('"""\n:# one\n"""\n', [":# one"]),
    "an empty block is nothing": ('"""\n"""\none\n', ["one"]),
    "quotes inside a line are text": ('say """ now\n', ['say """ now']),
    "an indented quote opens a block": ('  """  \none\n"""\n', ["one"]),
}


@pytest.mark.parametrize("case", GRAMMAR)
def test_grammar(case: str) -> None:
    script, expected = GRAMMAR[case]
    assert prompts(script) == expected


LINES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])).filter(
    lambda line: line.strip() not in ("", '"""')
)


@given(st.lists(LINES, min_size=1))
def test_any_text_can_be_sent_as_a_block(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert prompts(f'"""\n{text}\n"""\n') == [text if len(lines) > 1 else text.strip()]


@pytest.mark.parametrize("line", [":", ":help", " :help ", ":sessions list --limit 3"])
def test_a_colon_begins_a_command(line: str) -> None:
    assert parse(line) == CommandLine(line.strip()[1:] or "help")


def test_replies_go_to_stdout_and_everything_else_to_stderr(cli: CliRunner) -> None:
    ran = cli.script("hello", ":save greeting", ":model", "and again")
    assert (ran.code, ran.out) == (0, "hello\noffline/echo\nand again\n")
    assert ran.err == "💾 Session saved to ./runs/greeting.json\n"
    assert cli.files() == ["runs/greeting.json"]
    assert cli.said("greeting") == [("hello", "hello"), ("and again", "and again")]


def test_the_first_failing_input_ends_the_script_with_its_code(cli: CliRunner) -> None:
    ran = cli.script("one", ":load nowhere", "never")
    assert (ran.code, ran.out) == (2, "one\n")
    assert ran.err.startswith("error: There is no session nowhere in ")


def test_keep_going_runs_on_and_ends_with_the_gravest_code(cli: CliRunner) -> None:
    cli.runs.mkdir()
    (cli.runs / "bad.json").write_text("{")
    ran = cli.script("one", ":sevae", ":load bad", ":sevae", "two", words=(*NAMED, "--keep-going"))
    assert (ran.code, ran.out) == (3, "one\ntwo\n")
    assert ran.err.splitlines() == [
        "error: Unknown command ':sevae'. Did you mean ':save'?",
        "error: bad.json is damaged (line 1, column 2: cut off); nothing was changed; "
        "':sessions recover bad.json' brings back what can be read",
        "error: Unknown command ':sevae'. Did you mean ':save'?",
    ]
    assert cli.said("talk") == [("one", "one"), ("two", "two")]


def test_json_is_an_object_a_line(cli: CliRunner) -> None:
    ran = cli.script("hello", ":model", ":save", ":nonsense", words=(*NAMED, "--json"))
    assert ran.code == 2
    prompt, reply, model, save, error = ran.events
    assert prompt == {"event": "prompt", "text": "hello"}
    assert reply.pop("latency_ms") >= 0
    assert reply == {
        "event": "reply",
        "text": "hello",
        "model": "offline/echo",
        "finish_reason": "stop",
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "total_tokens": 2,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "estimated": False,
        },
        "cost": 0.0,
        "session": "talk.json",
        "turn": 1,
    }
    assert model == {"event": "command", "command": "model", "output": "offline/echo\n", "notes": ""}
    assert (save["output"], save["notes"]) == ("", "💾 Session saved to ./runs/talk.json\n")
    assert (error["event"], error["reason"], error["code"]) == ("error", "wrong_use", 2)
    assert error["message"] == "Unknown command ':nonsense'."
    assert error["hint"]


@pytest.mark.parametrize(
    ("words", "reason", "code"),
    [
        (("-r", "nowhere"), "wrong_use", 2),
        (("-r", "bad"), "damaged", 3),
        (("--model", "nonsense/x"), "wrong_use", 2),
    ],
)
def test_json_says_as_an_event_why_it_could_not_start(
    cli: CliRunner, words: tuple[str, ...], reason: str, code: int
) -> None:
    cli.runs.mkdir()
    (cli.runs / "bad.json").write_text("{")
    ran = cli.script("hello", words=("chat", "--json", *words))
    [event] = ran.events
    assert (ran.code, event["event"], event["reason"], event["code"]) == (code, "error", reason, code)


def test_every_line_of_json_holds_whatever_was_typed(cli: CliRunner) -> None:
    odd = 'a\u2028b\x0bc\x85d\x1be\tf 🙂 "q" \\'
    ran = cli.script(odd, words=(*NAMED, "--json"))
    assert [event["event"] for event in ran.events] == ["prompt", "reply"]
    assert ran.events[1]["text"] == odd
    assert cli.said("talk") == [(odd, odd)]


def test_a_reply_is_printed_only_when_its_turn_is_on_disk(cli: CliRunner) -> None:
    with cli.start(*NAMED, "--json", "--save-dir", "runs") as shell:
        assert shell.stdin and shell.stdout
        for number in count(1):
            shell.stdin.write(b"question %d\n" % number)
            shell.stdin.flush()
            for line in shell.stdout:
                if json.loads(line)["event"] == "reply":
                    break
            if number == 3:
                shell.kill()
                break
    cli.llm("config", "path")
    cli.script(":model")
    assert [question for question, _ in cli.said("talk")] == ["question 1", "question 2", "question 3"]


def test_a_coprocess_is_answered_before_the_next_line_is_sent(cli: CliRunner) -> None:
    with cli.start(*CHAT, stderr=subprocess.DEVNULL) as shell:
        assert shell.stdin and shell.stdout
        for text in (b"ping\n", b"pong\n"):
            shell.stdin.write(text)
            shell.stdin.flush()
            assert shell.stdout.readline() == text
        shell.stdin.close()
        assert shell.wait(10) == 0


def test_bytes_that_are_no_text_neither_stop_a_script_nor_reach_the_file(cli: CliRunner) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for locale in ({"LANG": "C.UTF-8"}, {"LC_ALL": "C"}, ascii_only):
        ran = cli.process(*CHAT, "--name", "x", typed=b"caf\xc3\xa9 \xff!\nand on\n", **locale)
        assert ran.code == 0, ran.err
        assert cli.said("x") == [("café \ufffd!", "café \ufffd!"), ("and on", "and on")]
        (cli.runs / "x.json").unlink()


def test_a_script_can_be_run_from_the_prompt(cli: CliRunner) -> None:
    script = '\ufeff#!/usr/bin/env -S llm chat\r\n:# a comment\nsay $1 and $2\na\u2028b\n"""\n$1\nlast\n"""'
    (cli.cwd / "standup.llm").write_text(script, newline="")
    ran = cli.script(":run standup.llm salt 'and pepper'", "after", words=(*NAMED,))
    assert (ran.code, ran.err) == (0, "")
    assert [q for q, _ in cli.said("talk")] == ["say salt and and pepper", "a\u2028b", "salt\nlast", "after"]


def test_a_script_that_fails_ends_the_one_that_runs_it(cli: CliRunner) -> None:
    (cli.cwd / "inner.llm").write_text("one\n:nonsense\nnever\n")
    ran = cli.script(":run inner.llm", "never either")
    assert (ran.code, ran.out) == (2, "one\n")


def test_a_script_that_leaves_leaves_altogether(cli: CliRunner) -> None:
    (cli.cwd / "inner.llm").write_text("one\n:exit\nnever\n")
    assert cli.script(":run inner.llm", "never either").out == "one\n"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere.llm", "Cannot read the script"),
        (".", "Cannot read the script"),
        ("itself.llm", "scripts run one another more than"),
    ],
)
def test_a_script_that_cannot_be_run(cli: CliRunner, name: str, what: str) -> None:
    (cli.cwd / "itself.llm").write_text(":run itself.llm\n")
    ran = cli.script(f":run {name}")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {what}")
    assert len(ran.err.splitlines()) == 1


def test_a_user_who_pipes_text_gets_a_note(cli: CliRunner) -> None:
    assert "each line" not in cli.script("hello").err
