"""Commands that change the context: attachments, undo and edit, summaries, the clipboard, incognito."""

from __future__ import annotations

import json

import pytest

from llmrepl.commands.context import code_blocks
from llmrepl.commands.line import Prompt, as_prompt, parse
from tests.cli_runner import CHAT, CliRunner

TRUSTED = (*CHAT, "--allow-shell")


def test_a_file_and_a_commands_output_go_with_the_next_prompt_only(cli: CliRunner) -> None:
    (cli.cwd / "notes.txt").write_text("a ``` b\n")
    ran = cli.script(":attach notes.txt", ":attach !echo from the shell", "look", "next", ":save talk", words=TRUSTED)
    assert ran.code == 0
    first, second = (turn[0] for turn in cli.said("talk"))
    assert first == "look\n\nnotes.txt:\n````\na ``` b\n````\n\n$ echo from the shell:\n```\nfrom the shell\n```"
    assert second == "next"


def test_an_image_is_kept_beside_the_text_and_still_there_after_a_load(cli: CliRunner) -> None:
    (cli.cwd / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    cli.script(":attach dot.png", "look", ":save talk")
    cli.script("again", words=("chat", "-r", "talk"))
    message = json.loads((cli.cwd / "runs" / "talk.json").read_text())["turns"][0]["messages"][0]
    assert message["content"] == "look"
    assert message["attachments"] == [{"name": "dot.png", "media_type": "image/png", "data": "iVBORw0KGgo="}]


@pytest.mark.parametrize("what", ["nowhere.txt", ".", "raw.bin", "!exit 3"])
def test_an_invalid_attachment_is_reported(cli: CliRunner, what: str) -> None:
    (cli.cwd / "raw.bin").write_bytes(b"\xff\xfe\x00")
    ran = cli.script(f":attach {what}")
    assert ran.code == 2 and ran.err.startswith("error: ")


def test_incognito_leaves_no_trace_but_amounts(cli: CliRunner) -> None:
    cli.script("open", ":incognito on", "hidden words", ":incognito off", "open again")
    texts = [p.read_bytes() for p in cli.cwd.parent.rglob("*") if p.is_file()]
    assert texts and not any(b"hidden words" in text for text in texts)
    rows = json.loads(cli.llm("usage", "--breakdown-by", "session", "--json").out)
    assert sum(row["requests"] for row in rows) == 3
    assert next(row for row in rows if not row["session"])["requests"] == 1


@pytest.mark.parametrize("save", [":save", ':save ""'])
def test_incognito_is_saved_only_under_a_name(cli: CliRunner, save: str) -> None:
    ran = cli.script("open", ":incognito on", "hidden words", save)
    assert ran.code == 2 and "':save NAME' keeps it" in ran.err
    assert not any(b"hidden words" in p.read_bytes() for p in cli.cwd.parent.rglob("*") if p.is_file())


def test_saving_under_a_name_says_that_incognito_ended(cli: CliRunner) -> None:
    ran = cli.script(":incognito on", "hidden words", ":reset", ":save kept")
    assert ran.code == 0 and "Incognito ended." in ran.err
    assert "context cleared" in ran.err and "keeps its" not in ran.err
    assert cli.said("kept")


def test_another_scheme_is_named_as_not_fetched(cli: CliRunner) -> None:
    ran = cli.script(":attach ftp://host.example/")
    assert ran.code == 2 and "Only http and https addresses are fetched" in ran.err


def test_leaving_incognito_returns_to_the_session_from_before(cli: CliRunner) -> None:
    ran = cli.script("open", ":save talk", ":incognito on", "hidden words", ":incognito off", "open again")
    assert "What was said incognito is gone. Back in talk.json." in ran.err
    assert [turn[0] for turn in cli.said("talk")] == ["open", "open again"]


@pytest.mark.parametrize(
    "lines",
    [
        (":incognito on", "x", ":incognito off", "secret words"),
        (":load talk", "secret words"),
        (":fork", "secret words"),
        (":load talk", ":fork branch --at 1", "secret words"),
        ("secret words", ":tag +a", ":compact", ":new", "secret words"),
    ],
)
@pytest.mark.parametrize("words", [(*CHAT, "--no-save"), CHAT])
def test_no_save_keeps_nothing_whatever_follows(cli: CliRunner, lines: tuple[str, ...], words: tuple[str, ...]) -> None:
    cli.script("one", ":save talk")
    before = {path: path.read_bytes() for path in cli.runs.iterdir()}
    environ = {} if "--no-save" in words else {"LLM_SAVE_SESSIONS": "0"}
    ran = cli.script("one", *lines, words=words, **environ)
    assert ran.code == 0, ran.err
    assert {path: path.read_bytes() for path in cli.runs.iterdir()} == before
    assert not any(b"secret words" in path.read_bytes() for path in cli.cwd.parent.rglob("*") if path.is_file())


@pytest.mark.parametrize("lines", [(":load talk",), (":load talk", ":fork"), (":sessions resume talk",)])
def test_a_session_that_is_loaded_while_incognito_is_not_written(cli: CliRunner, lines: tuple[str, ...]) -> None:
    cli.script("one", ":save talk")
    before = {path: path.read_bytes() for path in cli.runs.iterdir()}
    ran = cli.script(":incognito on", *lines, "secret words", words=CHAT)
    assert ran.code == 0, ran.err
    assert {path: path.read_bytes() for path in cli.runs.iterdir()} == before


def test_save_leaves_incognito_on_purpose(cli: CliRunner) -> None:
    cli.script(":incognito on", "said", ":save kept", "more")
    assert [turn[0] for turn in cli.said("kept")] == ["said", "more"]


def test_a_summary_takes_the_place_of_what_it_sums_up_and_the_turns_stay(cli: CliRunner) -> None:
    cli.script("one", "two", ":compact", ":save talk", "three", words=CHAT)
    session = json.loads((cli.cwd / "runs" / "talk.json").read_text())
    assert [turn["messages"][0]["content"] for turn in session["turns"]] == ["one", "two", "three"]
    assert session["meta"]["context_start"] == 2 and session["meta"]["summary"].startswith("Summarize")


def test_code_blocks_are_copied_byte_for_byte() -> None:
    text = "a\n```py\nx = 1\n\n  y\n```\nb\n~~~~\n```\nno end\n~~~~\n\n````\nopen"
    assert code_blocks(text) == ["x = 1\n\n  y\n", "```\nno end\n", "open"]
    assert code_blocks("no code") == []


def test_a_command_is_run_and_with_two_marks_its_output_is_attached(cli: CliRunner) -> None:
    ran = cli.script('!echo "it\'s here"', "look", "!!echo out", "look", "next", ":save talk", words=TRUSTED)
    assert ran.code == 0 and ran.out.startswith("it's here\n") and "\nout\n" in ran.out
    assert [turn[0] for turn in cli.said("talk")] == ["look", "look\n\n$ echo out:\n```\nout\n```", "next"]


@pytest.mark.parametrize("line", ["!touch made", "!!touch made", ":! touch made", "  !touch made"])
def test_a_script_runs_no_command_unless_it_is_trusted(cli: CliRunner, line: str) -> None:
    ran = cli.script(line)
    assert ran.code == 2 and "--allow-shell" in ran.err and not (cli.cwd / "made").exists()
    assert cli.script(line, words=TRUSTED).code == 0 and (cli.cwd / "made").exists()


@pytest.mark.parametrize("line", ["!", "!!", "!exit 3"])
def test_a_command_that_fails_is_reported(cli: CliRunner, line: str) -> None:
    ran = cli.script(line, words=TRUSTED)
    assert ran.code == 2 and ran.err.startswith("error: ")


@pytest.mark.parametrize("text", ["!x", "!!x", ":!x", "::!x", ":x", "::x", "x!", "! a\nb", "!a\nb", ":!a\nb"])
def test_any_text_can_be_a_prompt(text: str) -> None:
    assert parse(as_prompt(text)) == Prompt(text)


def test_a_prompt_can_begin_with_an_exclamation_mark(cli: CliRunner) -> None:
    assert parse("::!text") == Prompt("!text")
    assert parse("![a picture](x)\nof two lines") == Prompt("![a picture](x)\nof two lines")
    assert cli.script("::!touch made", ":save talk", words=TRUSTED).code == 0
    assert cli.said("talk")[0][0] == "!touch made" and not (cli.cwd / "made").exists()


def test_a_reply_and_a_code_block_are_copied_to_a_file(cli: CliRunner) -> None:
    code = ('"""', "a", "```py", "x = 1", "```", "```", "y\u00e4", "```", '"""')
    ran = cli.script(*code, ":copy --to reply.md", ":copy code 1 --to 'my x.py'", ":copy code --to ~/last")
    assert ran.code == 0 and "Copied code block 1 to ./my x.py (6 characters)" in ran.err
    assert (cli.cwd / "reply.md").read_text() == "a\n```py\nx = 1\n```\n```\ny\u00e4\n```"
    assert (cli.cwd / "my x.py").read_bytes() == b"x = 1\n"
    assert (cli.home / "last").read_text() == "y\u00e4\n"


def test_an_existing_file_is_only_replaced_on_purpose(cli: CliRunner) -> None:
    (cli.cwd / "notes").write_text("mine")
    ran = cli.script("hello", ":copy --to notes")
    assert ran.code == 2 and "--force" in ran.err
    assert cli.script("hello", ":copy --to notes --force").code == 2  # a script that anyone may have written
    assert cli.script("hello", ":copy --force", words=TRUSTED).code == 2
    assert (cli.cwd / "notes").read_text() == "mine"
    ran = cli.script("hello", ":copy --to notes --force", words=TRUSTED)
    assert ran.code == 0 and "the old file is kept as notes.backup" in ran.err
    assert (cli.cwd / "notes").read_text() == "hello" and (cli.cwd / "notes.backup").read_text() == "mine"
