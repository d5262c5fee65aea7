"""Several models answer the same question; one answer is picked, and none is lost."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from llmrepl.commands.table import all_commands
from tests.cli_runner import CliRunner, Ran
from tests.providers.loopback import Seen, Server, serving, sse, status, stream

CHAT = ("chat", "-m", "work/m")


def test_each_model_answers_and_the_picked_answer_goes_on(cli: CliRunner) -> None:
    with serving(_reply("hi"), _reply("A"), _reply("B"), _reply("then")) as server:
        ran = _run(cli, server, "hello", ":compare work/a work/b -- which?", ":pick 2", "next", ":save talk")
    assert ran.code == 0, ran.err
    assert [seen.body["model"] for seen in server.seen] == ["m", "a", "b", "m"]
    assert [_texts(seen) for seen in server.seen[1:3]] == [["hello", "hi", "which?"]] * 2
    assert _texts(server.seen[3]) == ["hello", "hi", "which?", "B", "next"]
    assert [turn["answered_by"] for turn in cli.session("talk")["turns"]] == ["work/m", "work/a", "work/b", "work/m"]
    assert "[1] work/a\nA\n\n[2] work/b\nB\n" in ran.out
    assert "Picked answer 2, by work/b." in ran.err and "':model work/b' makes it the current model." in ran.err


def test_nothing_is_in_the_context_until_it_is_picked(cli: CliRunner) -> None:
    with serving(_reply("A"), _reply("B"), _reply("then")) as server:
        _run(cli, server, ":compare work/a work/b which one", "next")
    assert _texts(server.seen[2]) == ["next"]


def test_without_a_question_the_last_prompt_is_asked_again_and_the_pick_replaces_its_reply(cli: CliRunner) -> None:
    with serving(_reply("hi"), _reply("A"), _reply("B"), _reply("then")) as server:
        _run(cli, server, "hello", ":compare work/a work/b", ":pick 1", "next", ":history", ":save talk")
    assert [_texts(seen) for seen in server.seen[1:3]] == [["hello"]] * 2
    assert _texts(server.seen[3]) == ["hello", "A", "next"]
    assert [turn.get("branch") for turn in cli.session("talk")["turns"]] == [True, None, True, None]


def test_another_answer_can_be_picked_later_and_what_followed_leaves_the_context(cli: CliRunner) -> None:
    with serving(_reply("A"), _reply("B"), _reply("C"), _reply("D")) as server:
        lines = (":compare work/a work/b q", ":pick 1", "next", ":pick 2", "other", ":save talk")
        ran = _run(cli, server, *lines)
    assert _texts(server.seen[3]) == ["q", "B", "other"]
    assert "2 turns left the context (kept on disk)." in ran.err
    assert len(cli.session("talk")["turns"]) == 4


def test_the_answer_that_was_picked_before_brings_back_what_followed_it(cli: CliRunner) -> None:
    with serving(_reply("A"), _reply("B"), _reply("C"), _reply("D"), _reply("E")) as server:
        lines = (":compare work/a work/b q", ":pick 1", "next", ":pick 2", "other", ":pick 1", "more", ":pick 1")
        ran = _run(cli, server, *lines)
    assert _texts(server.seen[4]) == ["q", "A", "next", "C", "more"]
    assert ran.code == 2 and "Answer 1 is part of the conversation." in ran.err


def test_a_model_that_fails_does_not_lose_the_others(cli: CliRunner) -> None:
    bad = status(400, {"error": {"message": "no such thing"}})
    with serving(_reply("A"), bad, _reply("C"), _reply("then")) as server:
        lines = (":compare work/a work/b work/c q", ":pick 2", ":pick 3", "next", ":save talk")
        ran = _run(cli, server, *lines, words=("--keep-going",))
    assert ran.code == 1
    assert "A\n" in ran.out and "C\n" in ran.out and "error: Answer 2 failed." in ran.err
    assert _texts(server.seen[3]) == ["q", "C", "next"]
    assert [turn["finish_reason"] for turn in cli.session("talk")["turns"]] == ["stop", "error", "stop", "stop"]


def test_no_fallback_answers_in_the_place_of_a_compared_model(cli: CliRunner) -> None:
    with serving(status(400, {"error": {"message": "no"}}), _reply("B")) as server:
        _run(cli, server, ":compare work/a work/b q", LLM_FALLBACK="work/z")
    assert [seen.body["model"] for seen in server.seen] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":compare", "':compare' needs models."),
        (":compare work/a nobody/b -- q", "There is no provider 'nobody'"),
        (":compare work/a", "There is no prompt to compare."),
        (":pick 1", "There is no comparison to pick from."),
    ],
)
def test_what_cannot_be_compared_is_said_and_nothing_is_sent(cli: CliRunner, line: str, said: str) -> None:
    with serving(_reply("A")) as server:
        ran = _run(cli, server, line)
    assert ran.code == 2 and said in ran.err and not server.seen and cli.files("runs") == []


def test_a_pick_that_does_not_exist_is_refused(cli: CliRunner) -> None:
    ran = cli.script(":compare offline/echo offline/echo q", ":pick 3")
    assert ran.code == 2 and "The comparison has 2 answers." in ran.err
    ran = cli.script(":compare offline/echo offline/echo q", ":reset", ":pick 1")
    assert ran.code == 2 and "The context was cleared after that comparison." in ran.err


def test_the_budget_must_cover_all_answers_before_anything_is_sent(cli: CliRunner) -> None:
    prices = "".join(f'[prices."work/{name}"]\ninput = 1000\noutput = 1000\n' for name in "ab")
    with serving(_reply("A"), _reply("B")) as server:
        ran = _run(cli, server, ":compare work/a work/b -- how?", words=("-b", "0.02"), config=prices)
        assert ran.code == 5 and "too little" in ran.err and not server.seen
        ran = _run(cli, server, ":compare work/a work/b -- how?", words=("-b", "1"), config=prices)
    assert ran.code == 0, ran.err
    caps = [seen.body["max_tokens"] for seen in server.seen]
    assert sum(caps) <= 1000 and min(caps) > 400


def test_every_answer_counts_in_the_cost_of_the_session(cli: CliRunner) -> None:
    prices = "".join(f'[prices."work/{name}"]\ninput = 1\noutput = 1\n' for name in "ab")
    with serving(_reply("A"), _reply("B")) as server:
        _run(cli, server, ":compare work/a work/b -- how?", ":save talk", config=prices)
    turns = cli.session("talk")["turns"]
    assert [turn["cost_estimate"] for turn in turns] == [pytest.approx(12e-6)] * 2
    row = json.loads(cli.llm("sessions", "list", "--format", "json").out)[0]
    assert row["cost"] == pytest.approx(24e-6)


def test_attachments_go_to_every_model_and_no_further(cli: CliRunner) -> None:
    (cli.cwd / "notes.txt").write_text("facts")
    cli.script(":attach notes.txt", ":compare offline/echo offline/echo -- q", "next", ":save talk")
    asked = [question for question, _ in cli.said("talk")]
    assert asked == ["q\n\nnotes.txt:\n```\nfacts\n```"] * 2 + ["next"]


def test_retry_copy_and_edit_know_the_comparison(cli: CliRunner) -> None:
    with serving(_reply("hi"), _reply("A"), _reply("B"), _reply("C"), _reply("D")) as server:
        lines = ("hello", ":compare work/a work/b -- q", ":copy --to last.txt", ":retry", "next", ":save talk")
        _run(cli, server, *lines)
    assert (cli.cwd / "last.txt").read_text() == "B"
    assert _texts(server.seen[3]) == ["hello", "hi", "q"]
    assert _texts(server.seen[4]) == ["hello", "hi", "q", "C", "next"]


def test_undo_and_redo_move_the_picked_answer_only(cli: CliRunner) -> None:
    cli.script(":compare offline/echo offline/echo q", ":pick 1", ":undo", ":redo", ":save talk")
    turns = cli.session("talk")["turns"]
    assert [(turn.get("undone"), turn.get("branch")) for turn in turns] == [(None, None), (None, True)]


def test_a_fork_follows_the_conversation_or_the_turn_it_names(cli: CliRunner) -> None:
    lines = ("hello", ":compare offline/echo offline/echo q", ":save talk", ":fork plain", ":load talk")
    cli.script(*lines, ":fork third --at 3", "next")
    assert [question for question, _ in cli.said("plain")] == ["hello"]
    assert [question for question, _ in cli.said("third")] == ["hello", "q", "next"]
    assert not any("branch" in turn or "comparison" in turn for turn in cli.session("third")["turns"])


def test_a_script_gets_each_answer_as_an_object(cli: CliRunner) -> None:
    ran = cli.script(":compare offline/echo offline/echo q", words=("chat", "-m", "offline/echo", "--json"))
    assert [event["event"] for event in ran.events] == ["prompt", "reply", "prompt", "reply", "command"]
    assert [event["turn"] for event in ran.events if event["event"] == "reply"] == [1, 2]


def test_history_and_exports_say_what_was_picked(cli: CliRunner) -> None:
    ran = cli.script(":compare offline/echo offline/echo q", ":pick 1", ":history", ":export txt")
    assert "[1] (offline/echo, picked)" in ran.out and "[2] (offline/echo, not picked)" in ran.out
    assert "(not picked)" in ran.out


def test_ctrl_c_keeps_the_answers_so_far_and_asks_no_other_model(cli: CliRunner) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        waiting.set()
        go_on.wait(20)

    with serving(_reply("A"), stall, _reply("C")) as server:
        _configure(cli, server)
        process = cli.start(*CHAT, "--name", "talk")
        assert process.stdin
        process.stdin.write(b":compare work/a work/b work/c -- q\n")
        process.stdin.flush()
        assert waiting.wait(20)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
        go_on.set()
    assert b"Stopped after 2 of 3 answers." in err
    assert [seen.body["model"] for seen in server.seen] == ["a", "b"]
    assert [turn["finish_reason"] for turn in cli.session("talk")["turns"]] == ["stop", "error"]


def test_models_and_question_are_separated() -> None:
    call = all_commands().parse_line("compare a/b c -- don't -- split this")
    assert call.values == {"models": "a/b c -- don't -- split this"}


def _reply(text: str) -> Any:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return stream(sse({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}], "usage": usage}, "[DONE]"))


def _texts(seen: Seen) -> list[str]:
    return [message["content"] for message in seen.body["messages"]]


def _configure(cli: CliRunner, server: Server, more: str = "") -> None:
    (cli.home / ".config" / "llm").mkdir(parents=True, exist_ok=True)
    config = f'[providers.work]\nbase_url = "{server.url}/v1"\n{more}'
    (cli.home / ".config" / "llm" / "config.toml").write_text(config)


def _run(
    cli: CliRunner, server: Server, *lines: str, words: tuple[str, ...] = (), config: str = "", **environ: str
) -> Ran:
    _configure(cli, server, config)
    return cli.script(*lines, words=(*CHAT, *words), **environ)
