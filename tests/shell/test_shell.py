"""Commands of the live conversation, as complete transcripts of scripts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_runner import CHAT, CliRunner
from tests.providers.loopback import KEY, serving, sse, status, stream

NAMED = (*CHAT, "--name", "talk")
REPLY = stream(sse({"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}, "[DONE]"))


def test_an_automatic_name_is_replaced_and_the_file_renamed(cli: CliRunner) -> None:
    ran = cli.script("one", ":save mine", "two")
    assert ran.err == "💾 Session saved to ./runs/mine.json\n"
    assert cli.files() == ["runs/mine.json"]
    assert cli.said("mine") == [("one", "one"), ("two", "two")]


def test_a_name_of_its_own_stays_and_the_copy_is_current(cli: CliRunner) -> None:
    cli.script("one", ":save second", "two", words=NAMED)
    assert cli.said("talk") == [("one", "one")]
    assert cli.said("second") == [("one", "one"), ("two", "two")]


def test_saving_without_a_name_says_where(cli: CliRunner) -> None:
    ran = cli.script(":save", "one", ":save", words=NAMED)
    assert ran.err == "there is nothing to save yet\n💾 Session saved to ./runs/talk.json\n"


def test_a_name_given_before_the_first_prompt_is_the_sessions(cli: CliRunner) -> None:
    ran = cli.script(":save idea", "one")
    assert ran.err == "💾 Session will be saved to ./runs/idea.json\n"
    assert cli.files() == ["runs/idea.json"]


@pytest.mark.parametrize("name", ["talk", "TALK", "talk.json"])
def test_an_existing_name_is_refused(cli: CliRunner, name: str) -> None:
    cli.script("theirs", words=NAMED)
    before, stem = (cli.runs / "talk.json").read_bytes(), name.removesuffix(".json")
    ran = cli.script("mine", f":save {name}")
    assert (ran.code, ran.err) == (
        2,
        f"error: A session talk.json exists. :save --force {stem} moves it to the trash\n",
    )
    assert (cli.runs / "talk.json").read_bytes() == before
    assert len(cli.files("runs")) == 2


def test_force_puts_the_other_session_into_the_trash(cli: CliRunner) -> None:
    cli.script("theirs", words=NAMED)
    before = (cli.runs / "talk.json").read_bytes()
    ran = cli.script("mine", ":save --force talk")
    assert ran.code == 0, ran.err
    assert cli.said("talk") == [("mine", "mine")]
    kept = [p.read_bytes() for p in cli.cwd.parent.rglob("*") if p.is_file() and p.name.startswith("talk")]
    assert before in kept


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("../x", "A session name cannot contain / or \\. :export FORMAT PATH writes elsewhere"),
        ("'a\x1bb'", "A session name cannot contain control or invisible characters. Choose another name"),
        ("'..'", "A session name cannot be empty. Choose another name"),
        ("con", "A session name cannot be con: some systems keep that for a device. Choose another name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(cli: CliRunner, name: str, what: str) -> None:
    ran = cli.script(f":save {name}")
    assert (ran.code, ran.err) == (2, f"error: {what}\n")
    assert cli.files() == []


def test_load_saves_the_current_session_and_goes_on_with_the_other(cli: CliRunner) -> None:
    cli.script("one", "two", words=NAMED)
    ran = cli.script("elsewhere", ":save other", ":load talk", "three")
    assert ran.out == "elsewhere\nthree\n"
    assert ran.err.splitlines()[1:] == [
        "🔄 Resuming session: talk.json",
        "Model: offline/echo",
        "Previous turns: 2",
        "Tokens used: 4",
    ]
    assert cli.said("talk") == [("one", "one"), ("two", "two"), ("three", "three")]
    assert cli.said("other") == [("elsewhere", "elsewhere")]


def test_loading_the_current_session_changes_nothing(cli: CliRunner) -> None:
    ran = cli.script("one", ":load talk", "two", words=NAMED)
    assert (ran.code, ran.err) == (0, "talk.json is the current session\n")
    assert cli.said("talk") == [("one", "one"), ("two", "two")]


def test_new_begins_another_session(cli: CliRunner) -> None:
    ran = cli.script("one", ":new", "two", words=NAMED)
    assert ran.err == "a fresh session begins; talk.json is saved\n"
    assert cli.said("talk") == [("one", "one")]
    assert len(cli.files("runs")) == 2


def test_reset_clears_the_context_and_keeps_the_record(cli: CliRunner) -> None:
    ran = cli.script("one", ":reset", "two", ":history", words=NAMED)
    assert ran.err == "context cleared; talk.json keeps its 1 turn\n"
    assert ran.out.splitlines()[2:] == ["[1] (not in the context)", "You: one", "one", "", "[2]", "You: two", "two"]
    assert cli.said("talk") == [("one", "one"), ("two", "two")]


def test_undo_and_redo_move_turns_out_of_the_context_and_back(cli: CliRunner) -> None:
    ran = cli.script("one", "two", "three", ":undo 2", ":redo 1", ":undo", ":redo", ":undo 3", ":redo", words=NAMED)
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "Removed 2 turns from the context (kept on disk).",
        "':redo' brings them back.",
        "Brought 1 turn back into the context.",
        "Removed 1 turn from the context (kept on disk).",
        "':redo' brings it back.",
        "Brought 2 turns back into the context.",
        "Removed 3 turns from the context (kept on disk).",
        "':redo' brings them back.",
        "Brought 3 turns back into the context.",
    ]
    turns = cli.session("talk")["turns"]
    assert ["undone" in turn for turn in turns] == [False] * 3
    assert [t["messages"][1]["content"] for t in turns] == ["one", "two", "three"]


@pytest.mark.parametrize(
    "command", [":undo 99", ":undo 0", ":undo -1", ":redo", ":redo 5", ":retry nope/x", ":retry openai/x", ":edit 9"]
)
def test_what_is_refused_changes_nothing(cli: CliRunner, command: str) -> None:
    cli.script("one", "two", words=NAMED)
    before = (cli.runs / "talk.json").read_bytes()
    ran = cli.script(":load talk", command)
    assert (ran.code, ran.out) == (2, "")
    assert (cli.runs / "talk.json").read_bytes() == before


def test_a_fork_at_an_undone_turn_has_it_in_its_context(cli: CliRunner) -> None:
    cli.script("one", "two", "three", ":undo 2", "four", ":fork back --at 3", "five", words=NAMED)
    assert ["undone" in turn for turn in cli.session("back")["turns"]] == [False] * 4


def test_retry_after_compact_keeps_the_summary(cli: CliRunner) -> None:
    with serving(REPLY) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        cli.script("one", "two", ":compact", ":retry", words=("chat", "-m", "openai/m", "--name", "talk"), **environ)
    sent = [part["text"] for item in server.seen[-1].body["input"] for part in item["content"]]
    assert len(sent) == 2 and "A summary of our conversation so far" in sent[0] and sent[1] == "two"


def test_retry_sends_the_images_again_and_keeps_them(cli: CliRunner) -> None:
    (cli.cwd / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with serving(status(400, {"error": {"message": "no"}}), REPLY) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        words = ("chat", "-m", "openai/m", "--name", "talk", "--keep-going")
        cli.script(":attach a.png", "look", ":retry", ":retry", words=words, **environ)
    assert all("input_image" in json.dumps(one.body["input"][-1]) for one in server.seen)
    turns = cli.session("talk")["turns"]
    assert len(turns) == 2 and all(turn["messages"][0]["attachments"][0]["name"] == "a.png" for turn in turns)


def test_a_summary_takes_no_attachment_and_a_question_takes_it_once(cli: CliRunner) -> None:
    (cli.cwd / "f.txt").write_text("the file")
    with serving(REPLY) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        script = ("one", ":attach f.txt", ":compact", ":ask two", "three")
        cli.script(*script, words=("chat", "-m", "openai/m"), **environ)
    assert ["the file" in json.dumps(one.body["input"][-1]) for one in server.seen] == [False, False, True, False]


def test_retry_asks_again_and_keeps_the_first_answer(cli: CliRunner) -> None:
    ran = cli.script("one", ":retry", ":retry offline/guide", words=NAMED)
    assert ran.out.startswith("one\none\n")
    first, second, third = cli.session("talk")["turns"]
    assert (first["undone"], second["undone"], "undone" in third) == (True, True, False)
    assert third["answered_by"] == "offline/guide"
    assert cli.session("talk")["model"] == "offline/echo"


def test_retry_without_a_question(cli: CliRunner) -> None:
    ran = cli.script(":retry")
    assert (ran.code, ran.err) == (2, "error: There is no question to ask again. Type one\n")


def test_the_system_prompt_is_taken_as_it_stands(cli: CliRunner) -> None:
    ran = cli.script(":system You're a \"teacher\" -- really", ":system", "hi", ":system --clear", ":system",
                          words=NAMED)  # fmt: skip
    assert ran.out == 'You\'re a "teacher" -- really\nhi\n'
    assert ran.err.splitlines() == [
        "system prompt set", "system prompt removed", "there is no system prompt; ':system TEXT' sets one"
    ]  # fmt: skip
    assert cli.session("talk")["system"] is None


def test_the_model_is_switched_in_mid_conversation(cli: CliRunner) -> None:
    ran = cli.script("one", ":switch offline/guide", "hello", ":model", words=NAMED)
    assert ran.out.endswith("offline/guide\n")
    session = cli.session("talk")
    assert session["model"] == "offline/guide"
    assert len(session["turns"]) == 2
    assert json.dumps(session).count('"model"') == 1


def test_an_unknown_model_is_refused_and_nothing_changes(cli: CliRunner) -> None:
    ran = cli.script("one", ":model nonsense/x", words=(*NAMED, "--keep-going"))
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert cli.session("talk")["model"] == "offline/echo"


def test_settings_of_the_shell(cli: CliRunner) -> None:
    ran = cli.script(":set max_tokens 2", "one two three", ":set max_tokens", ":set", words=NAMED)
    assert ran.out.startswith("one two\n2\n")
    assert "max_tokens = 2\n" in ran.err
    assert any(line.split()[:2] == ["max_tokens", "2"] for line in ran.out.splitlines())
    assert cli.session("talk")["turns"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("line", [":set nonsense", ":set temperature hot", ":set idle_timeout 3", ":set keys dvorak"])
def test_a_wrong_setting_is_named(cli: CliRunner, line: str) -> None:
    ran = cli.script(line)
    assert ran.code == 2
    assert line.split()[1] in ran.err
    assert len(ran.err.splitlines()) == 1


def test_history_shows_the_last_turns(cli: CliRunner) -> None:
    ran = cli.script(":history", "one", "two", ":history 1", ":history 0")
    assert ran.out == "one\ntwo\n[2]\nYou: two\ntwo\n"
    assert ran.err.splitlines() == [
        "nothing was said yet",
        "error: ':history' takes a number of turns from 1, such as ':history 5'.",
    ]


def test_export_to_a_file_and_to_stdout(cli: CliRunner) -> None:
    ran = cli.script("hello", ":export md", ":export json copy.json", ":export md copy.json", words=NAMED)
    assert ran.code == 2
    assert "👤 **User**: hello" in ran.out
    assert ran.err.splitlines() == [
        "exported to ./copy.json",
        f"error: {cli.cwd}/copy.json exists. --force replaces it and keeps a backup",
    ]
    assert json.loads((cli.cwd / "copy.json").read_text())["turns"] == cli.session("talk")["turns"]
    assert (cli.cwd / "copy.json").stat().st_mode & 0o777 == 0o600


def test_cost(cli: CliRunner) -> None:
    ran = cli.script(":cost", "one two", ":cost", ":cost detailed", ":cost nonsense")
    assert (ran.code, ran.out.splitlines()[:2]) == (2, ["one two", "Cost: $0.0000 (4 tokens in 1 turn)"])
    assert ran.out.splitlines()[-4].split() == ["1", "one", "two", "4", "0"]
    assert ran.out.splitlines()[-3:-1] == ["Total: $0.0000", "Average: $0.0000 per turn"]


def test_exit_leaves_at_once(cli: CliRunner) -> None:
    for word in ("exit", "quit"):
        assert cli.script("one", f":{word}", "never").out == "one\n"


def test_show_tells_about_the_current_session_or_another(cli: CliRunner) -> None:
    cli.script("one", words=NAMED)
    ran = cli.script(":show talk", "two", ":show")
    assert ran.out.startswith("Session: talk.json\n")
    assert "Turns: 1\nTotal tokens: 2 (prompt: 1, completion: 1)" in ran.out
    assert ran.out.count("Session Information") == 2


def test_resume_loads_as_in_other_programs(cli: CliRunner) -> None:
    cli.script("one", words=NAMED)
    assert cli.script(":resume talk", "two").code == 0
    assert cli.said("talk") == [("one", "one"), ("two", "two")]


def test_hints_name_commands_as_typed_where_they_are_shown(cli: CliRunner) -> None:
    cli.script("one", words=NAMED)
    hint = "talk.json has 1 turn, and no turn 0 to branch from. llm sessions show talk --full shows them"
    assert cli.llm("sessions", "fork", "talk", "n", "--at", "0").err == f"error: {hint}\n"
    assert "':keys set PROVIDER'" in cli.script(":models").err
    assert "'llm keys set PROVIDER'" in cli.llm("models").err


def test_a_limit_of_0_does_not_say_that_there_are_no_sessions(cli: CliRunner) -> None:
    cli.script("one", words=NAMED)
    for words in (("sessions", "list"), ("search", "one")):
        ran = cli.llm(*words, "--limit", "0")
        assert (ran.code, ran.out, ran.err) == (0, "", "--limit 0 shows none\n")


@pytest.mark.parametrize("line", [":help", ":help save", ":save --help", ":save -h", ":help sessions show"])
def test_help(cli: CliRunner, line: str) -> None:
    ran = cli.script(line)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip()
    assert cli.files() == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":sevae", "Unknown command ':sevae'. Did you mean ':save'?"),
        (":sessions shwo", "Unknown command ':sessions shwo'. Did you mean ':sessions show'?"),
        (":undo x", "':undo' takes a number of turns, such as ':undo 2'."),
        (":keys set", "Which provider? For example :keys set openai"),
        (":xyzzy", "Unknown command ':xyzzy'. :help lists the commands"),
        (":search", "Which text? For example :sessions search decorators"),
        (":attach --frob", "':attach' has no option '--frob'. :attach --help shows what it takes"),
        (":attach x --clear", "'--clear' goes before the files. :attach --clear"),
        (":attach *.zip", "No file matches *.zip. Check the pattern"),
        (":system --clear x", "'--clear' takes no text. :system --clear removes the system prompt"),
        (":chat", "':chat' does not work at the prompt. llm chat works in a terminal"),
        (":save 'a", "The quotes in ':save 'a' do not match. Close the quote, or put a \\ before it"),
        (":save a b", "A name with spaces needs quotes: :save 'a b'"),
        (":\x1b[2J", "Unknown command ':\\x1b[2J'. :help lists the commands"),
    ],
)
def test_a_command_that_does_not_exist_is_never_sent_to_the_model(cli: CliRunner, line: str, said: str) -> None:
    ran = cli.script(line)
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {said}\n")
    assert cli.files() == []


def test_a_session_that_cannot_be_saved_is_not_left_and_the_other_is_not_taken(cli: CliRunner, tmp_path: Path) -> None:
    """A file replaces the directory of the current session for a while."""
    other = tmp_path / "other"
    cli.script("theirs", words=(*CHAT, "--save-dir", str(other), "--name", "x"))

    def typed() -> Iterator[str]:
        yield "one\n"
        shutil.rmtree(cli.runs)
        cli.runs.write_text("in the way")
        yield "two\n"
        yield f":load {other}/x.json\n"
        cli.runs.unlink()
        yield f":load {other}/x.json\n"
        yield "three\n"

    ran = cli.llm(*NAMED, "--keep-going", typed=typed())
    assert ran.code == 4
    assert ran.err.splitlines()[0].startswith("error: turn 2 is not saved: ")
    assert "nothing was sent; free some space or repair the directory, then :save" in ran.err.splitlines()[0]
    assert ran.out == "one\nthree\n"
    assert cli.said("talk") == [("one", "one"), ("two", "")]
    assert [len(json.loads(p.read_bytes())["turns"]) for p in other.iterdir()] == [2]


def test_a_removed_directory_is_recreated_and_reported(cli: CliRunner) -> None:
    def typed() -> Iterator[str]:
        yield "one\n"
        shutil.rmtree(cli.runs)
        yield "two\n"

    ran = cli.llm(*NAMED, typed=typed())
    assert (ran.code, ran.out) == (0, "one\ntwo\n")
    assert "was moved, removed or replaced. talk.json is saved in it again." in ran.err
    assert cli.said("talk") == [("one", "one"), ("two", "two")]


def test_a_file_changed_between_turns_is_kept_and_reported(cli: CliRunner) -> None:
    def typed() -> Iterator[str]:
        yield "one\n"
        (cli.runs / "talk.json").write_text("theirs")
        yield "two\n"

    ran = cli.llm(*NAMED, typed=typed())
    assert ran.code == 0
    assert ran.err == "note: talk.json was changed by another program; this session goes on as talk-2.json\n"
    assert (cli.runs / "talk.json").read_text() == "theirs"
    assert cli.said("talk-2") == [("one", "one"), ("two", "two")]


def test_a_model_that_is_asked_once_is_asked_outside_the_conversation(cli: CliRunner) -> None:
    ran = cli.script("one", ":ask two 'three' four", words=NAMED)
    assert ran.out == "one\ntwo 'three' four\n"
    assert cli.said("talk") == [("one", "one")]


def test_control_bytes_in_a_reply_are_shown_and_kept(cli: CliRunner) -> None:
    odd = "a\x1b[31mb\x07c\x9bd\u202ee"
    ran = cli.script(odd, words=NAMED)
    assert ran.out == "a\\x1b[31mb\\x07c\\x9bd\\u202ee\n"
    assert cli.said("talk") == [(odd, odd)]
