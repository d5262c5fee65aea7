"""Rename, tag, fork, delete, archive and restore sessions, from the prompt and the terminal."""

from __future__ import annotations

import gzip
import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.commands.results import Column, Table
from llmrepl.rendering.widgets import render_results
from llmrepl.sessions.index.query import SORTS, Filters, Row, filter_and_sort
from tests.cli_runner import CHAT, CliRunner


def meta(cli: CliRunner, name: str) -> dict[str, object]:
    data: dict[str, object] = json.loads((cli.cwd / "runs" / f"{name}.json").read_text())["meta"]
    return data


def files(cli: CliRunner) -> dict[str, bytes]:
    runs = cli.cwd / "runs"
    return {str(p.relative_to(runs)): p.read_bytes() for p in sorted(runs.rglob("*")) if p.is_file()}


def test_tags_are_added_and_removed(cli: CliRunner) -> None:
    ran = cli.script("hello", ":tag +one +two -one", ":save talk", ":tag")
    assert ran.code == 0 and ran.out.splitlines()[-1] == "two"
    assert cli.llm("sessions", "tag", "talk", "+three").out == "two three\n"
    assert meta(cli, "talk")["tags"] == ["two", "three"]
    assert cli.llm("sessions", "list", "--tag", "three").out.startswith("talk.json")


def test_a_tag_is_removed_by_the_same_words_at_both_interfaces(cli: CliRunner) -> None:
    cli.script("hello", words=(*CHAT, "--name", "talk"))
    assert cli.llm("sessions", "tag", "talk", "+one", "+two", "-one").out == "two\n"
    assert cli.llm("sessions", "tag", "-two", "--dir", "runs").code == 2
    assert cli.script(":sessions tag talk -two +three --dir runs").out == "three\n"
    assert cli.llm("sessions", "tag", "--dir", "runs", "talk", "--", "-three").out == "no tags\n"
    assert cli.llm("sessions", "tag", "talk", "--nonsense").code == 2
    before = files(cli)
    for tag in ("+", "+a,b", "+a\x1b[31m", "+\u202e"):
        assert cli.llm("sessions", "tag", "talk", tag).code == 2
    assert files(cli) == before


def test_an_empty_session_can_be_tagged_and_renamed(cli: CliRunner) -> None:
    cli.runs.mkdir()
    (cli.runs / "empty.json").write_text('{"model": "offline/echo", "turns": []}')
    assert cli.llm("sessions", "tag", "empty", "+new").out == "new\n"
    assert cli.llm("sessions", "rename", "empty", "Empty").code == 0
    assert cli.files("runs") == ["Empty.json"] and meta(cli, "Empty")["tags"] == ["new"]


def test_a_session_stays_in_its_directory_when_it_is_renamed(cli: CliRunner) -> None:
    cli.llm(*CHAT, "--name", "talk", "--save-dir", "else", typed="hello\n")
    assert cli.llm("sessions", "rename", "else/talk.json", "other").code == 0
    assert cli.files() == ["else/other.json"]


def test_a_branch_has_the_turns_up_to_where_it_begins_and_names_its_parent(cli: CliRunner) -> None:
    cli.script("one", "two", ":save trunk", ":fork branch --at 1", "other")
    assert [turn[0] for turn in cli.said("branch")] == ["one", "other"]
    assert [turn[0] for turn in cli.said("trunk")] == ["one", "two"]
    assert meta(cli, "branch")["parent"] == {"session": "trunk.json", "turn": 1}


def test_a_fork_of_another_session_at_both_interfaces(cli: CliRunner) -> None:
    cli.script("one", "two", ":tag +kept", words=(*CHAT, "--name", "trunk"))
    before = files(cli)
    ran = cli.script("elsewhere", ":fork trunk --at 1", "other", ":rename mine")
    assert ran.code == 0 and "branches from trunk.json after turn 1" in ran.err and "taken" not in ran.err
    assert cli.said("mine") == [("one", "one"), ("other", "other")]
    assert cli.llm("sessions", "fork", "tru", "whole").err.startswith("🌿 whole.json branches from trunk.json")
    assert cli.said("whole") == cli.said("trunk")
    assert meta(cli, "whole")["tags"] == ["kept"]
    assert cli.session("whole")["created_at"] > cli.session("trunk")["created_at"]
    assert files(cli)["trunk.json"] == before["trunk.json"]


def test_a_branch_that_cannot_be_leaves_everything_as_it_is(cli: CliRunner) -> None:
    cli.script("one", "two", words=(*CHAT, "--name", "trunk"))
    before = files(cli)
    for words in (("trunk", "x", "--at", "3"), ("trunk", "x", "--at", "0"), ("trunk", "../x"), ("trunk", "Trunk")):
        ran = cli.llm("sessions", "fork", *words)
        assert ran.code == 2, words
        assert files(cli) == before
    assert cli.script(":fork x").code == 2
    ran = cli.script("one", ":fork", ":fork --at 1", "two", words=CHAT)
    assert ran.code == 0 and len(files(cli)) == 4


def test_a_branch_from_before_a_reset_knows_nothing_of_it(cli: CliRunner) -> None:
    cli.script("one", "two", ":reset", "three", ":fork early --at 1", "four", words=(*CHAT, "--name", "trunk"))
    assert "context_start" not in meta(cli, "early")
    assert "not in the context" not in cli.script(":load early", ":history").out
    cli.script("one", ":reset", ":fork late", "two", words=(*CHAT, "--name", "other"))
    assert cli.script(":load late", ":history").out.startswith("[1] (not in the context)")


def test_what_is_put_away_comes_back_byte_for_byte(cli: CliRunner) -> None:
    for name in ("a", "b", "c"):
        cli.script(f"hello {name}", words=(*CHAT, "--name", name))
    before = files(cli)
    for words in (("delete", "a"), ("archive", "--older-than", "0d", "--compress")):
        assert cli.llm("sessions", *words, "--dry-run").code == 0
        assert files(cli) == before
    assert cli.llm("sessions", "delete", "a").code == 0
    assert cli.llm("sessions", "archive", "--older-than", "0d", "--compress").code == 0
    assert set(files(cli)) == {".trash/a.json", "archive/b.json.gz", "archive/c.json.gz"}
    assert cli.llm("sessions", "restore").out.split() == [".trash/a.json", "archive/b.json.gz", "archive/c.json.gz"]
    for name in ("a", "b", "c"):
        assert cli.llm("sessions", "restore", name).code == 0
    assert files(cli) == before


def test_nothing_is_overwritten(cli: CliRunner) -> None:
    for name in ("a", "b"):
        cli.script(f"hello {name}", words=(*CHAT, "--name", name))
    before = files(cli)
    assert cli.llm("sessions", "rename", "a", "b").code == 2
    assert files(cli) == before
    cli.llm("sessions", "delete", "a")
    cli.script("another", words=(*CHAT, "--name", "a"))
    assert cli.llm("sessions", "restore", "a").code == 2
    assert cli.said("a")[0][0] == "another"


def test_moved_and_failed_files_are_reported(cli: CliRunner) -> None:
    for name in ("a", "b"):
        cli.script(f"hello {name}", words=(*CHAT, "--name", name))
    with cli.start(*CHAT, "-r", "b") as shell:
        assert shell.stdin and shell.stdout
        shell.stdin.write(b"go on\n")
        shell.stdin.flush()
        shell.stdout.readline()
        ran = cli.llm("sessions", "delete", "b", "a")
        assert (ran.code, ran.out) == (6, "a.json ./runs/.trash/a.json\n")
        assert f"b.json is open in another shell (pid {shell.pid})" in ran.err
        assert cli.llm("sessions", "rename", "b", "c").code == 6
        assert cli.llm("sessions", "archive", "--older-than", "0d").err == "0 sessions moved to the archive\n"
        shell.stdin.close()
    ran = cli.llm("sessions", "archive", "--older-than", "0d", "--compress")
    assert (ran.code, ran.out) == (0, "b.json ./runs/archive/b.json.gz\n")
    ran = cli.llm("sessions", "restore", "a", "b")
    assert (ran.code, ran.out) == (0, "a.json    ./runs/a.json\nb.json.gz ./runs/b.json\n")


def test_the_current_session_is_not_deleted_under_its_shell(cli: CliRunner) -> None:
    assert cli.script("hello", ":save talk", ":delete talk").code == 2
    assert cli.said("talk")[0][0] == "hello"


def conversations(cli: CliRunner, *questions: str) -> None:
    """Write x.jsonl in OpenAI's message format, with one prompt per conversation."""
    lines = [[{"role": "user", "content": text}, {"role": "assistant", "content": "a"}] for text in questions]
    (cli.cwd / "x.jsonl").write_text("".join(json.dumps({"messages": line}) + "\n" for line in lines))


def test_an_import_is_written_once(cli: CliRunner) -> None:
    conversations(cli, "What is a closure?", "another", "what is: a Closure!", "../..", "con", "日本語 🎉")
    names = ["what_is_a_closure.json", "another.json", "what_is_a_closure-2.json", "日本語.json"]
    dry = cli.llm("sessions", "import", "x.jsonl", "--dry-run")
    assert not cli.runs.exists()
    ran = cli.llm("sessions", "import", "x.jsonl")
    assert ran.err == "6 conversations imported\n" and set(names) <= {row.split()[0] for row in ran.out.splitlines()}
    assert dry.err == "6 conversations would be imported\n" and len(dry.out.splitlines()) == 6
    assert cli.said("what_is_a_closure-2") == [("what is: a Closure!", "a")]
    assert sorted(name for name in cli.files("runs") if not name.startswith("session_")) == sorted(names)
    before = files(cli)
    for _ in range(2):
        ran = cli.llm("sessions", "import", "x.jsonl")
        assert (ran.out, ran.err) == ("", "0 conversations imported, 6 imported before\n")
        assert files(cli) == before
        assert cli.llm("sessions", "archive", "--older-than", "0d", "--compress").code == 0
        before = files(cli)


def test_an_import_never_overwrites(cli: CliRunner) -> None:
    cli.script("mine", words=(*CHAT, "--name", "Another"))
    conversations(cli, "another", "another!")
    assert cli.llm("sessions", "import", "x.jsonl").code == 0
    assert cli.said("Another") == [("mine", "mine")]
    assert cli.files("runs") == ["Another.json", "another-2.json", "another-3.json"]


def test_parts_that_cannot_be_imported_are_reported(cli: CliRunner) -> None:
    conversations(cli, "whole")
    with open(cli.cwd / "x.jsonl", "a") as file:
        file.write('{"messages": [}\n')
    ran = cli.llm("sessions", "import", "x.jsonl")
    assert ran.code == 0 and "line 2" in ran.out and ran.err == "1 conversation imported\n"


def test_what_was_left_out_is_one_line_per_kind(cli: CliRunner) -> None:
    conversations(cli, "first")
    with open(cli.cwd / "x.jsonl", "a") as file:
        file.write('{"messages": [}\n' * 50 + '{"messages": 5}\n' * 50)
    ran = cli.llm("sessions", "import", "x.jsonl")
    assert ran.code == 0 and ran.err == "1 conversation imported\n"
    assert [" ".join(line.split()) for line in ran.out.splitlines()[1:]] == [
        "it has no 'messages' 50 line 52",
        "it is not JSON 50 line 2",
    ]


def test_an_import_of_nothing_fails_and_names_the_format(cli: CliRunner) -> None:
    (cli.cwd / "x.json").write_text(json.dumps([{"uuid": "a", "name": "Empty", "chat_messages": []}], indent=1))
    ran = cli.llm("sessions", "import", "x.json")
    assert ran.code == 1 and "nothing in x.json could be imported as Claude.ai data export" in ran.err
    (cli.cwd / "x.json").write_text(json.dumps({"name": "package", "version": 1}, indent=1))
    ran = cli.llm("sessions", "import", "x.json")
    assert ran.code == 1 and "'chat_messages'" in ran.err and len(ran.err.splitlines()) == 1
    assert not list(cli.runs.glob("*.json"))


def test_a_backup_is_a_sessions_directory_and_copies_what_changed(cli: CliRunner) -> None:
    for name in ("a", "b", "c"):
        cli.script(f"hello {name}", words=(*CHAT, "--name", name))
    cli.llm("sessions", "archive", "--older-than", "0d", "--compress")
    cli.llm("sessions", "restore", "a", "b")
    ran = cli.llm("sessions", "backup", "copies", "--dry-run")
    assert ran.out.split() == ["a.json", "archive/c.json.gz", "b.json"]
    assert not (cli.cwd / "copies").exists()
    ran = cli.llm("sessions", "backup", "copies")
    assert (ran.code, ran.err) == (0, "3 files copied to ./copies; 0 files there already\n")
    cli.script("more", words=(*CHAT, "-r", "a"))
    cli.llm("sessions", "delete", "b")
    ran = cli.llm("sessions", "backup", "copies")
    assert ran.out.split() == [".trash/b.json", "a.json"]
    assert cli.llm("sessions", "show", "a", "--dir", "copies").code == 0
    assert cli.llm("sessions", "list", "--dir", "copies").out.count("\n") == 2
    for own in ("runs", "runs/archive", "./runs/.trash/x"):
        assert cli.llm("sessions", "backup", own).code == 2


def test_validate_recover_and_scan(cli: CliRunner) -> None:
    cli.script("my key is sk-proj-abcdefghij0123456789ABCDEF", words=(*CHAT, "--name", "talk"))
    path = cli.cwd / "runs" / "talk.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    ran = cli.llm("sessions", "validate")
    assert ran.code == 3 and "cut off" in ran.out
    assert cli.llm("sessions", "show", "talk").code == 3
    assert cli.llm("sessions", "recover", "talk").code == 0
    assert Path(f"{path}.backup").read_bytes() == whole[:-30]
    assert cli.llm("sessions", "validate").code == 0
    assert "OpenAI key" in cli.llm("sessions", "scan").out
    assert cli.llm("sessions", "scan", "--fix").code == 0
    assert b"sk-proj" not in path.read_bytes() and b"[masked]" in path.read_bytes()


def test_search_lands_on_the_turn(cli: CliRunner) -> None:
    cli.script("first", "about QuickSilver here", words=(*CHAT, "--name", "talk"))
    rows = cli.llm("search", "quicksilver").out.splitlines()
    assert [row.split()[:3] for row in rows] == [["talk.json", "2", "user"], ["talk.json", "2", "assistant"]]
    for text in ('"', "*", "NEAR(", "-x", "a OR b", "'"):
        assert cli.llm("search", "--", text).code == 0


NAMES = (*"aaaaaabb", "A", "e\u0301", "\u00e9", "my notes", "-x", "a.2", "+b", "../up", ".hidden", "con")
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12).map(lambda text: f"say {text}.")
STEPS = st.one_of(
    TEXT,
    st.just("say more\n:save a\n:new"),
    st.sampled_from((":new", ":fork", ":fork --at 1", ":tag +one -two", ":tag +two -one", ":undo", ":reset")),
    st.sampled_from((":new", ":sessions archive --older-than 0d", ":sessions archive --older-than 0d --compress")),
    st.builds(
        lambda command, name: f"{command} -- {shlex.quote(name)}",
        st.sampled_from(
            (
                *(
                    ":save",
                    ":save --force",
                    ":rename",
                    ":fork",
                    ":fork --at 1",
                    ":load",
                    ":delete",
                    ":delete",
                    ":delete",
                ),
                *(":sessions restore", ":sessions restore", ":sessions tag", ":sessions fork", ":sessions rename a"),
            )
        ),
        st.sampled_from(NAMES),
    ),
)


MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a thousand fsyncs take no time."""


def conversations_in(runs: Path) -> Iterator[tuple[tuple[str, str], ...]]:
    """Return role and text of all messages per session, in any directory."""
    for place in (runs, runs / "archive", runs / ".trash"):
        for path in place.glob("*.json*"):
            raw = path.read_bytes()
            data = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
            yield tuple((m["role"], m["content"]) for turn in data["turns"] for m in turn["messages"])


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(STEPS, min_size=12, max_size=30))
def test_whatever_is_done_to_sessions_no_message_is_lost_or_changed(steps: list[str]) -> None:
    with TemporaryDirectory(dir=MEMORY) as place:
        cli = CliRunner.at(Path(place))
        steps = [line for step in steps for line in step.split("\n")]
        numbered = [f"{step} {n}" if step.startswith("say ") else step for n, step in enumerate(steps)]
        known: set[tuple[tuple[str, str], ...]] = set()

        def check() -> None:
            now = set(conversations_in(cli.runs))
            for before in known:
                assert any(after[: len(before)] == before for after in now), before
            known.update(now)

        def lines() -> Iterator[str]:
            for step in numbered:
                yield f"{step}\n"
                check()

        ran = cli.llm(*CHAT, "--keep-going", typed=lines())
        check()
        assert "went wrong" not in ran.err
        prompts = [text for text in numbered if text.startswith("say ")]
        assert {("user", text) for text in prompts} <= {message for said in known for message in said}
        for path in cli.llm("sessions", "restore").out.splitlines():
            cli.llm("sessions", "restore", "--", path)
        check()
        assert cli.llm("sessions", "validate").code == 0


@pytest.mark.parametrize("sort", SORTS)
def test_pinned_sessions_stand_first(cli: CliRunner, sort: str) -> None:
    for name in ("b", "a", "c"):
        cli.script("hello", words=(*CHAT, "--name", name))
    cli.script(":title pinned", words=("chat", "-r", "a"))  # a title is not a tag
    listed = cli.llm("sessions", "list", "--sort", sort).out
    assert cli.script(":pin c", ":pin c").err.count("c.json is pinned.") == 2
    assert meta(cli, "c")["tags"] == ["pinned"]
    names = [line.split(" ")[0] for line in listed.splitlines()]
    pinned = cli.llm("sessions", "list", "--sort", sort).out
    expected = ["c.json", *(name for name in names if name != "c.json")]
    assert [line.split(" ")[0] for line in pinned.splitlines()] == expected
    assert cli.llm("sessions", "list", "--sort", sort, "--limit", "1").out.startswith("c.json ")
    assert "c.json is not pinned." in cli.script(":unpin c").err
    assert cli.llm("sessions", "list", "--sort", sort).out == listed


def test_pinned_sessions_stand_first_without_an_index() -> None:
    rows = [Row("new", epoch=2), Row("old", epoch=1, tags=("pinned",))]
    assert [row.name for row in filter_and_sort(rows, Filters(), pinned_first=True)] == ["old", "new"]
    assert [row.name for row in filter_and_sort(rows, Filters())] == ["new", "old"]


def test_a_pinned_session_has_a_star_on_a_terminal() -> None:
    table = Table((Column("Filename", "name"),), [("one.json",), ("two.json",)], starred=[1])
    screen = io.StringIO()
    drawn = render_results(table, screen)
    assert "★ two.json" in drawn and "★ one.json" not in drawn


def test_the_open_session_is_pinned_without_a_name(cli: CliRunner) -> None:
    assert cli.script(":pin").code == 2 and cli.script(":title x").code == 2
    cli.script("hello", ":pin", ":save talk")
    assert meta(cli, "talk")["tags"] == ["pinned"]
    cli.script(":unpin", words=("chat", "-r", "talk"))
    assert meta(cli, "talk")["tags"] == []


def test_a_title_is_shown_set_and_kept(cli: CliRunner) -> None:
    ran = cli.script("hello there", ":title", ":title You're  a teacher", ":save talk", "more")
    assert ran.code == 0 and "hello there\n" in ran.out and "You're a teacher\n" in ran.out
    assert meta(cli, "talk")["title"] == "You're a teacher"
    assert cli.script(":title", words=("chat", "-r", "talk")).out == "You're a teacher\n"
    assert json.loads(cli.llm("sessions", "list", "--format", "json").out)[0]["title"] == "You're a teacher"
