"""`llm sessions merge`: two files, conflict copies of Syncthing, and git."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli_runner import CHAT, CliRunner


def talk(cli: CliRunner, *prompts: str, name: str = "talk") -> Path:
    file = cli.runs / f"{name}.json"
    words = ("chat", "-m", "offline/echo", "-r", name) if file.exists() else (*CHAT, "--name", name)
    assert cli.script(*prompts, words=words).code == 0
    return file


def prompts(file: Path) -> list[tuple[str, bool]]:
    turns = json.loads(file.read_bytes())["turns"]
    return [(turn["messages"][0]["content"], turn.get("branch", False)) for turn in turns]


@pytest.fixture
def copies(cli: CliRunner) -> tuple[Path, Path]:
    """Create a session file and a copy with later turns."""
    file = talk(cli, "one", "two")
    other = cli.cwd / "other.json"
    other.write_bytes(file.read_bytes())
    talk(cli, "here")
    here = file.read_bytes()
    file.write_bytes(other.read_bytes())
    talk(cli, "there", "there again")
    other.write_bytes(file.read_bytes())
    file.write_bytes(here)
    return file, other


def test_two_copies_become_one(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    file, other = copies
    before = other.read_bytes()
    done = cli.llm("sessions", "merge", "talk", "./other.json")
    assert (done.code, done.err) == (0, "talk.json: 2 turns added from other.json. 1 turn is on a branch now.\n")
    assert prompts(file) == [("one", False), ("two", False), ("here", True), ("there", False), ("there again", False)]
    assert other.read_bytes() == before
    assert cli.llm("sessions", "validate").code == 0
    again, stamp = file.read_bytes(), file.stat()
    done = cli.llm("sessions", "merge", "talk", "./other.json")
    assert done.err == "talk.json already has everything that is in other.json\n"
    assert (file.read_bytes(), file.stat()) == (again, stamp)
    assert cli.llm("sessions", "merge", "./other.json", "talk").code == 0
    assert other.read_bytes() == again


def test_the_conversation_goes_on_after_a_merge_and_on_the_branch(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    cli.llm("sessions", "merge", "talk", "./other.json")
    talk(cli, "and on")
    assert prompts(copies[0])[-1] == ("and on", False)
    cli.script(":load talk", ":fork branch --at 3", "on the branch")
    assert prompts(cli.runs / "branch.json") == [(p, False) for p in ("one", "two", "here", "on the branch")]


def test_in_an_open_session(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    done = cli.script(":load talk", ":sessions merge talk ./other.json", "more")
    assert done.code == 0
    assert prompts(copies[0])[-1] == ("more", False)
    assert len(prompts(copies[0])) == 6


def test_what_would_be_done(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    before = copies[0].read_bytes()
    done = cli.llm("sessions", "merge", "talk", "./other.json", "--dry-run")
    assert done.err == "talk.json: 2 turns would be added from other.json. 1 turn would be on a branch.\n"
    assert copies[0].read_bytes() == before


def test_conflict_copies_of_syncthing_are_merged_and_go_to_the_trash(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    file, other = copies
    conflict = cli.runs / "talk.sync-conflict-20261125-051932-ABCDEFG.json"
    os.replace(other, conflict)
    done = cli.llm("sessions", "merge", "talk")
    assert (done.code, done.err.splitlines()[1]) == (0, f"{conflict.name} is in the trash")
    assert len(prompts(file)) == 5
    assert not conflict.exists()
    assert cli.llm("sessions", "restore", conflict.name).code == 0
    assert conflict.exists()
    assert cli.llm("sessions", "merge", str(file)).code == 0
    assert cli.llm("sessions", "merge", "talk").err == "talk.json has no conflict copies\n"


def test_no_conflict_copy_is_merged_if_one_of_them_cannot_be(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    file, other = copies
    first, second = (cli.runs / f"talk.sync-conflict-2026112{day}-051932-ABCDEFG.json" for day in (5, 6))
    os.replace(other, first)
    unrelated = talk(cli, "alone", name="unrelated").read_bytes()
    for code, raw in ((3, first.read_bytes()[:-50]), (2, unrelated)):
        second.write_bytes(raw)
        before = {path: path.read_bytes() for path in cli.runs.iterdir()}
        done = cli.llm("sessions", "merge", "talk")
        assert (done.code, second.name in done.err, "nothing was changed" in done.err) == (code, True, True)
        assert {path: path.read_bytes() for path in cli.runs.iterdir()} == before
    second.write_bytes(file.read_bytes())
    assert cli.llm("sessions", "merge", "talk").err.count("is in the trash") == 2
    assert len(prompts(file)) == 5


def test_what_is_refused(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    file, _ = copies
    talk(cli, "alone", name="unrelated")
    (cli.runs / "damaged.json").write_text('{"model": "m", "turns": [')
    (cli.runs / "link.json").symlink_to("talk.json")
    before = {path: path.read_bytes() for path in cli.runs.glob("*.json")}
    refused = {
        ("talk", "talk"): (2, "Cannot merge talk.json with itself"),
        ("talk", "unrelated"): (2, "talk.json and unrelated.json have no turn in common; nothing was changed"),
        ("talk", "damaged"): (3, "damaged.json is damaged"),
        ("damaged", "talk"): (3, "damaged.json is damaged"),
        ("talk", "missing"): (2, "There is no session missing"),
        (): (2, "Which session, and which copy of it?"),
        ("a", "b", "c", "d"): (2, "Which session, and which copy of it?"),
    }
    for names, (code, said) in refused.items():
        done = cli.llm("sessions", "merge", *names)
        assert (done.code, said in done.err) == (code, True), (names, done.err)
    assert {path: path.read_bytes() for path in cli.runs.glob("*.json")} == before
    shell = cli.start("chat", "-m", "offline/echo", "-r", "talk")
    assert shell.stdin and shell.stdout
    shell.stdin.write(b"held open\n")
    shell.stdin.flush()
    shell.stdout.readline()
    assert cli.llm("sessions", "merge", "talk", "./other.json").code == 6
    shell.communicate()
    assert len(prompts(file)) == 4


def git(directory: Path, *words: str, code: int | None = 0) -> str:
    environ = {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "HOME": str(directory),
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    done = subprocess.run(["git", *words], cwd=directory, env=environ, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def repository(cli: CliRunner) -> CliRunner:
    """Create a Git repository with a session and an installed merge driver."""
    talk(cli, "one")
    git(cli.cwd, "init", "-q", "-b", "main")
    done = cli.llm("sessions", "merge", "--install")
    assert (done.code, done.err) == (
        0,
        "git merges the sessions in ./runs with llm now.\n"
        "Commit ./runs/.gitattributes, and run 'llm sessions merge --install' in each clone.\n",
    )
    git(cli.cwd, "add", ".")
    git(cli.cwd, "commit", "-qm", "one")
    return cli


def diverge(cli: CliRunner) -> None:
    """Create two branches with different later turns and check out the second."""
    git(cli.cwd, "checkout", "-qb", "there")
    talk(cli, "there")
    git(cli.cwd, "commit", "-qam", "there")
    git(cli.cwd, "checkout", "-q", "main")
    talk(cli, "here")
    git(cli.cwd, "commit", "-qam", "here")


def test_git_merges_sessions(repository: CliRunner) -> None:
    diverge(repository)
    git(repository.cwd, "merge", "-q", "there")
    assert git(repository.cwd, "status", "--porcelain") == ""
    assert [text for text, _ in prompts(repository.runs / "talk.json")] == ["one", "there", "here"]


def test_git_merges_two_new_sessions_of_one_name(repository: CliRunner) -> None:
    git(repository.cwd, "checkout", "-qb", "there")
    talk(repository, "there", name="new")
    git(repository.cwd, "add", ".")
    git(repository.cwd, "commit", "-qam", "there")
    git(repository.cwd, "checkout", "-q", "main")
    talk(repository, "here", name="new")
    git(repository.cwd, "add", ".")
    git(repository.cwd, "commit", "-qam", "here")
    said = git(repository.cwd, "merge", "-q", "there")
    assert "two sessions with the same name have no turn in common" in said
    assert prompts(repository.runs / "new.json") == [("there", True), ("here", False)]


def test_a_damaged_side_is_a_conflict_and_ours_stays(repository: CliRunner) -> None:
    diverge(repository)
    file = repository.runs / "talk.json"
    ours = file.read_bytes()
    git(repository.cwd, "checkout", "-q", "there")
    file.write_bytes(file.read_bytes()[:-50])
    git(repository.cwd, "commit", "-qam", "damaged")
    git(repository.cwd, "checkout", "-q", "main")
    said = git(repository.cwd, "merge", "-q", "there", code=1)
    assert "is damaged" in said and "CONFLICT" in said
    assert file.read_bytes() == ours


def test_installing_again_changes_nothing(repository: CliRunner) -> None:
    before = repository.runs.joinpath(".gitattributes").read_text(), (repository.cwd / ".git/config").read_text()
    assert repository.llm("sessions", "merge", "--install").code == 0
    after = repository.runs.joinpath(".gitattributes").read_text(), (repository.cwd / ".git/config").read_text()
    assert before == after
    assert before[0] == "*.json merge=llm-sessions\n"


def test_attributes_that_are_there_are_kept(cli: CliRunner) -> None:
    talk(cli, "one")
    git(cli.cwd, "init", "-q")
    attributes = cli.runs / ".gitattributes"
    attributes.write_text("*.gz -diff")
    assert cli.llm("sessions", "merge", "--install", "--dry-run").code == 0
    assert attributes.read_text() == "*.gz -diff"
    assert cli.llm("sessions", "merge", "--install").code == 0
    assert attributes.read_text() == "*.gz -diff\n*.json merge=llm-sessions\n"


def test_without_a_repository_nothing_is_installed(cli: CliRunner) -> None:
    talk(cli, "one")
    done = cli.llm("sessions", "merge", "--install", GIT_CEILING_DIRECTORIES=str(cli.cwd.parent))
    assert (done.code, "is not in a git repository" in done.err) == (2, True)
    assert not (cli.runs / ".gitattributes").exists()
    done = cli.llm("sessions", "merge", "--install", PATH="/nowhere")
    assert (done.code, "git cannot be run" in done.err) == (2, True)


def test_nothing_in_the_working_tree_is_run_by_the_driver(repository: CliRunner) -> None:
    (repository.cwd / "llmrepl").mkdir()
    (repository.cwd / "llmrepl/__init__.py").write_text("raise SystemExit('hostile')")
    (repository.cwd / "json.py").write_text("raise SystemExit('hostile')")
    diverge(repository)
    git(repository.cwd, "merge", "-q", "there")
    assert len(prompts(repository.runs / "talk.json")) == 3


def test_branches_are_marked_where_turns_are_shown(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    cli.llm("sessions", "merge", "talk", "./other.json")
    shown = cli.script(":load talk", ":history").out
    assert "[3] (on a branch)\nYou: here\n" in shown
    assert shown.count("on a branch") == 1
    exported = cli.llm("sessions", "export", "md", "--session", "talk").out
    assert exported.count("on a branch") == 1
    assert '"here"' not in cli.llm("sessions", "export", "jsonl", "--session", "talk").out


def test_asking_again_and_editing_leave_the_branch_alone(cli: CliRunner, copies: tuple[Path, Path]) -> None:
    cli.llm("sessions", "merge", "talk", "./other.json")
    cli.script(":load talk", ":undo 4", ":retry")
    turns = json.loads(copies[0].read_bytes())["turns"]
    assert not any(turn.get("undone") for turn in turns if turn.get("branch"))
    assert [turn["messages"][0]["content"] for turn in turns if not turn.get("undone")] == ["here"]


def leave_on_a_branch(cli: CliRunner) -> None:
    """Commit what was done to the session on the branch `there`, and go on with it on `main`, where it is as it was."""
    git(cli.cwd, "checkout", "-qb", "there")
    git(cli.cwd, "add", "-A")
    git(cli.cwd, "commit", "-qm", "there")
    git(cli.cwd, "checkout", "-q", "main")
    talk(cli, "here")
    git(cli.cwd, "commit", "-qam", "here")


def test_a_new_session_is_not_taken_for_one_that_was_deleted(repository: CliRunner) -> None:
    file, notes = repository.runs / "talk.json", repository.runs / "notes.json"
    talk(repository, "two", name="notes")
    file.unlink()
    leave_on_a_branch(repository)
    assert "CONFLICT (modify/delete)" in git(repository.cwd, "merge", "there", code=1)
    assert prompts(file) == [("one", False), ("here", False)]
    assert prompts(notes) == [("two", False)]


def test_a_session_that_was_renamed_gets_what_was_said_under_the_old_name(repository: CliRunner) -> None:
    assert repository.llm("sessions", "rename", "talk", "chat").code == 0
    leave_on_a_branch(repository)
    git(repository.cwd, "merge", "-q", "there")
    assert [path.name for path in repository.runs.glob("*.json")] == ["chat.json"]
    assert prompts(repository.runs / "chat.json") == [("one", False), ("here", False)]


def test_options_for_merging_that_are_there_are_kept(cli: CliRunner) -> None:
    talk(cli, "one")
    git(cli.cwd, "init", "-q", "-b", "main")
    git(cli.cwd, "config", "branch.main.mergeOptions", "--no-ff")
    for _ in range(2):
        assert cli.llm("sessions", "merge", "--install").code == 0
        assert git(cli.cwd, "config", "branch.main.mergeOptions") == "--no-ff -Xfind-renames=90%\n"


def test_how_other_files_of_a_repository_are_merged_stays_as_it_is(cli: CliRunner) -> None:
    talk(cli, "one")
    git(cli.cwd, "init", "-q", "-b", "main")
    (cli.cwd / "main.py").write_text("print()\n")
    done = cli.llm("sessions", "merge", "--install")
    assert done.err.splitlines()[2] == (
        "After deleting a session, merge with 'git merge -Xfind-renames=90%': git may take another one for it."
    )
    assert "mergeoptions" not in git(cli.cwd, "config", "--list")


def test_sessions_in_the_top_directory_of_a_repository(cli: CliRunner) -> None:
    cli.cwd = talk(cli, "one").parent
    git(cli.cwd, "init", "-q", "-b", "main")
    assert cli.llm("sessions", "merge", "--install", "--dir", ".").err == (
        "git merges the sessions in . with llm now.\n"
        "Commit ./.gitattributes, and run 'llm sessions merge --install' in each clone.\n"
    )
    assert git(cli.cwd, "config", "branch.main.mergeOptions") == "-Xfind-renames=90%\n"


@pytest.mark.parametrize("chosen", [None, ("pull.ff", "only"), ("pull.rebase", "true")])
def test_pull_merges_unless_something_else_was_chosen(cli: CliRunner, chosen: tuple[str, str] | None) -> None:
    talk(cli, "one")
    git(cli.cwd, "init", "-q", "-b", "main")
    if chosen:
        git(cli.cwd, "config", *chosen)
    assert cli.llm("sessions", "merge", "--install").code == 0
    assert git(cli.cwd, "config", "branch.main.rebase", code=None) == ("" if chosen else "false\n")


def test_two_clones_pull_from_each_other(repository: CliRunner) -> None:
    laptop = repository.cwd.parent / "laptop"
    git(repository.cwd, "clone", "-q", str(repository.cwd), str(laptop))
    here, there = repository.cwd, CliRunner(repository.home, laptop, repository.environ)
    assert there.llm("sessions", "merge", "--install").code == 0
    talk(there, "there")
    git(laptop, "commit", "-qam", "there")
    talk(repository, "here")
    git(here, "commit", "-qam", "here")
    git(laptop, "pull", "-q", "--no-edit")
    git(here, "pull", "-q", str(laptop), "main")
    files = [(place / "runs/talk.json").read_bytes() for place in (here, laptop)]
    assert files[0] == files[1]
    assert len(prompts(laptop / "runs/talk.json")) == 3
