"""A side question: it sees the conversation, is kept and counted, and no later prompt includes it."""

from __future__ import annotations

import json
from typing import Any

from llmrepl.sessions.merge import merge
from llmrepl.sessions.model import Session, Turn
from llmrepl.sessions.storage.session_file import dump
from tests.cli_runner import CliRunner
from tests.providers.loopback import Seen, Server, serving, sse, status, stream


def test_an_aside_sees_the_conversation_and_stays_out_of_it(cli: CliRunner) -> None:
    with serving(_reply("A"), _reply("B"), _reply("C")) as server:
        ran = _ask(cli, server, "one", ":aside and two?", "three", ":save talk")
    assert ran == 0
    assert [_texts(seen) for seen in server.seen] == [["one"], ["one", "A", "and two?"], ["one", "A", "three"]]
    turns = cli.session("talk")["turns"]
    assert [turn.get("aside") for turn in turns] == [None, True, None]
    assert [text for turn in cli.said("talk") for text in turn] == ["one", "A", "and two?", "B", "three", "C"]


def test_an_aside_is_still_out_of_the_context_after_a_load(cli: CliRunner) -> None:
    with serving(_reply("A"), _reply("B"), _reply("C")) as server:
        _ask(cli, server, "one", ":aside two", ":save talk")
        _ask(cli, server, ":load talk", "three")
    assert _texts(server.seen[-1]) == ["one", "A", "three"]


def test_an_aside_is_counted_and_labeled(cli: CliRunner) -> None:
    cli.script("one", ":aside two", ":save talk", words=CHAT)
    session = cli.session("talk")
    assert session["usage_totals"]["total_tokens"] == sum(turn["usage"]["total_tokens"] for turn in session["turns"])
    history = cli.script(":load talk", ":history", words=CHAT).out
    assert "[2] (aside)\nYou: two\n" in history and "[1]\nYou: one\n" in history
    assert "[2] (aside)" in cli.llm("show", "talk", "--full").out
    for form, label in (("md", "Statistics (aside)"), ("html", ">aside<"), ("csv", '"aside"'), ("txt", "] (aside)")):
        assert label in cli.llm("export", form, "--session", "talk").out, form
    exported = json.loads(cli.llm("export", "jsonl", "--session", "talk").out)
    assert [message["content"] for message in exported["messages"]] == ["one", "one"]


def test_undo_redo_and_edit_leave_asides_alone(cli: CliRunner) -> None:
    cli.script("one", "two", ":aside three", ":undo", ":redo", ":undo 2", ":save talk", words=CHAT)
    assert [turn.get("undone") for turn in cli.session("talk")["turns"]] == [True, True, None]
    ran = cli.script(":load talk", ":undo", words=CHAT)
    assert ran.code == 2 and "No turns are in the context." in ran.err


def test_retry_asks_an_aside_again_as_an_aside(cli: CliRunner) -> None:
    with serving(_reply("A"), _reply("B"), _reply("C"), _reply("D")) as server:
        _ask(cli, server, "one", ":aside two", ":retry", "three", ":save talk")
    assert _texts(server.seen[2]) == ["one", "A", "two"]
    assert _texts(server.seen[3]) == ["one", "A", "three"]
    marks = [(turn.get("aside"), turn.get("undone")) for turn in cli.session("talk")["turns"]]
    assert marks == [(None, None), (True, None), (True, None), (None, None)]


def test_a_failed_aside_is_replaced_by_its_retry(cli: CliRunner) -> None:
    with serving(_reply("A"), status(400, {"error": {"message": "no"}}), _reply("B")) as server:
        _ask(cli, server, "one", ":aside two", ":retry", ":save talk", words=("--keep-going",))
    turns = cli.session("talk")["turns"]
    assert [(turn.get("aside"), turn["finish_reason"]) for turn in turns] == [(None, "stop"), (True, "stop")]


def test_a_fork_keeps_asides_out_of_the_context(cli: CliRunner) -> None:
    lines = (":aside three", "four", ":undo", ":save talk", ":fork back --at 4")
    cli.script("one", "two", ":undo", *lines, words=CHAT)
    assert [turn.get("undone") for turn in cli.session("back")["turns"]] == [None] * 4
    assert [turn.get("aside") for turn in cli.session("back")["turns"]] == [None, None, True, None]


def test_an_aside_without_a_question_sends_nothing(cli: CliRunner) -> None:
    ran = cli.script(":aside", words=CHAT)
    assert ran.code == 2 and "Which question?" in ran.err and cli.files("runs") == []


def test_a_merge_keeps_an_aside_and_the_conversation_goes_on_from_the_other_copy() -> None:
    first = _turn("one", "2026-01-01T10:00", id="a")
    said = _turn("two", "2026-01-01T11:00", id="b")
    aside = _turn("why?", "2026-01-01T12:00", id="c", aside=True)
    ours, theirs = (Session(model="m", turns=[first, last]) for last in (aside, said))
    merged = merge(ours, theirs)
    assert [message.content for message in merged.context()] == ["one", "reply", "two", "reply"]
    assert [turn.id for turn in merged.turns if turn.is_aside] == ["c"]
    assert dump(merge(theirs, ours)) == dump(merged) == dump(merge(merged, ours))


CHAT = ("chat", "-m", "offline/echo")


def _turn(question: str, created_at: str, **fields: Any) -> Turn:
    turn = Turn.begin(question, created_at, "m").model_dump(exclude_unset=True)
    turn["messages"].append({"role": "assistant", "content": "reply"})
    return Turn.model_validate({**turn, "finish_reason": "stop", **fields})


def _reply(text: str) -> Any:
    return stream(sse({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}, "[DONE]"))


def _texts(seen: Seen) -> list[str]:
    return [message["content"] for message in seen.body["messages"]]


def _ask(cli: CliRunner, server: Server, *lines: str, words: tuple[str, ...] = ()) -> int:
    environ = {"LLM_IDLE_TIMEOUT": "5"}
    (cli.home / ".config" / "llm").mkdir(parents=True, exist_ok=True)
    config = f'[providers.work]\nbase_url = "{server.url}/v1"\n'
    (cli.home / ".config" / "llm" / "config.toml").write_text(config)
    return cli.script(*lines, words=("chat", "-m", "work/m", *words), **environ).code
