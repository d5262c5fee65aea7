"""`list`, `search` and `stats` from the prompt and the terminal, and Tab on session names."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent, Completion
from prompt_toolkit.document import Document

from llmrepl.cli import _create_workspace
from llmrepl.commands.table import all_commands
from llmrepl.prompt.completer import RegistryCompleter
from llmrepl.sessions.index.name_index import MOST, NameList
from llmrepl.sessions.names import without_ending
from llmrepl.system.environment import Environment
from llmrepl.system.signals import Signals
from tests.cli_runner import LLM, CliRunner


def said(question: str, answer: str, cost: float | None = None) -> dict[str, Any]:
    """Return a turn."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages} | ({} if cost is None else {"cost_estimate": cost})


def keep(directory: Path, name: str, day: int, model: str, *turns: dict[str, Any], **meta: Any) -> Path:
    """Write a session file."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.json"
    data = {
        "model": model,
        "system": "You help",
        "created_at": f"2024-01-{day:02}T10:00:00.000001",
        "turns": list(turns),
        "usage_totals": {"total_tokens": 100 * len(turns)},
        "meta": meta,
    }
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def reader(cli: CliRunner) -> CliRunner:
    """A user with three sessions and a damaged one."""
    keep(
        cli.runs,
        "loops",
        1,
        "openai/gpt-4o",
        said("for loops?", "A loop repeats", 0.01),
        said("and while?", "Until it is false", 0.02),
        title="Loops",
        tags=["python"],
    )
    keep(cli.runs, "rust", 2, "openai/gpt-4o", said("what is a borrow?", "No for loop here", 0.5), tags=["Rust"])
    keep(cli.runs, "free", 3, "ollama/llama3", said("hello\tthere", "hi"))
    (cli.runs / "bad.json").write_text("{")
    return cli


def column(out: str, number: int = 0) -> list[str]:
    return [line.split()[number] for line in out.splitlines()]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", "free rust loops"),
        ("--limit 1", "free"),
        ("--limit 0", ""),
        ("--sort cost", "rust loops free"),
        ("--sort turns --limit 1", "loops"),
        ("--model gpt --since 2024-01-02", "rust"),
        ("--until 2024-01-01", "loops"),
        ("--tag rust", "rust"),
        ("--contains LOOP", "rust loops"),
        ("--contains LOOP --max-cost 0.1", "loops"),
        ("--min-turns 2 --system-contains HELP", "loops"),
    ],
)
def test_a_list_is_narrowed_and_ordered(reader: CliRunner, options: str, names: str) -> None:
    for _ in range(2):
        ran = reader.llm("sessions", "list", *options.split())
        assert (column(ran.out), ran.code) == ([f"{name}.json" for name in names.split()], 0)
        assert "1 file cannot be read and is left out: bad.json" in ran.err


def test_every_format_says_the_same(reader: CliRunner) -> None:
    as_json = json.loads(reader.llm("sessions", "list", "--format", "json").out)
    as_csv = list(csv.DictReader(reader.llm("sessions", "list", "--format", "csv").out.splitlines()))
    as_list = reader.llm("sessions", "list", "--format", "list").out.splitlines()
    plain = reader.llm("sessions", "list").out
    assert [row["filename"] for row in as_json] == [row["filename"] for row in as_csv] == column(plain)
    assert [row["cost"] for row in as_json] == [None, 0.5, 0.03]
    assert column(plain, 5) == ["-", "0.5", "0.03"]
    assert as_list[0] == "Found 3 matching sessions:"
    assert as_list[1:] == [
        "  free.json - ollama/llama3 - 1 turns - unknown",
        "  rust.json - openai/gpt-4o - 1 turns - $0.5000",
        "  loops.json - openai/gpt-4o - 2 turns - $0.0300",
    ]


def test_the_list_shows_what_the_open_session_says_now(reader: CliRunner) -> None:
    out = reader.script("one", ":sessions list --format json --limit 1", "two", ":search two").out
    assert '"turns": 1' in out
    assert [line.split()[1:3] for line in out.splitlines() if ".json 2 " in line] == [["2", "user"], ["2", "assistant"]]


def test_a_hit_is_its_session_turn_and_text(reader: CliRunner) -> None:
    ran = reader.llm("sessions", "search", "LOOP")
    assert [line.split(maxsplit=3) for line in ran.out.splitlines()] == [
        ["rust.json", "1", "assistant", "No for loop here"],
        ["loops.json", "1", "user", "for loops?"],
        ["loops.json", "1", "assistant", "A loop repeats"],
    ]
    assert reader.llm("search", "for", "loop").out.splitlines()[0].endswith("No for loop here")
    assert "hello there" in reader.llm("search", "hello\tthere").out
    assert reader.llm("search", "--limit", "1", "loop").out.count("\n") == 1
    assert column(reader.llm("search", "--until", "2024-01-01", "loop").out) == ["loops.json"] * 2
    assert column(reader.script(":search loop").out) == ["rust.json", "loops.json", "loops.json"]


@pytest.mark.parametrize("text", ['"', "*", "NEAR(", "-x", "a AND", "'", "%", "_", "\\", "^", "(", "{text}:", "…"])
def test_any_text_can_be_searched_for(reader: CliRunner, text: str) -> None:
    for wanted in (text, f"no {text} where"):
        ran = reader.llm("search", "--", wanted)
        assert (ran.code, ran.out) == (0, "")
        assert "is in no message in ./runs" in ran.err
    keep(reader.runs, "odd", 4, "m", said(f"before {text} after", ""))
    assert column(reader.llm("search", "--", text).out) == ["odd.json"]


@pytest.mark.parametrize("words", ["", " ", "--limit -1 x", "--limit x"])
def test_a_search_that_cannot_be_is_refused(reader: CliRunner, words: str) -> None:
    ran = reader.llm("search", *words.split())
    assert (ran.code, ran.out) == (2, "") and "went wrong" not in ran.err


def test_stats_are_the_guides_analysis(reader: CliRunner) -> None:
    ran = reader.llm("sessions", "stats")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["openai/gpt-4o", "2", "300", "0.53", "3", "150"],
        ["ollama/llama3", "1", "100", "-", "1", "100"],
    ]
    for line in ("📊 Session Analysis Summary", "Total Cost: $0.5300 + 1 turn unpriced", "Total Tokens: 400"):
        assert line in ran.err
    facts = json.loads(reader.llm("sessions", "stats", "--json").out)
    assert facts[0] == {
        "model": "openai/gpt-4o",
        "sessions": 2,
        "tokens": 300,
        "cost": 0.53,
        "turns": 3,
        "tokens_per_session": 150,
    }
    assert column(reader.llm("sessions", "stats", "--tag", "python").out, 1) == ["1"]
    assert json.loads(reader.llm("sessions", "stats", "--json", "--model", "none").out) == []
    assert "no sessions found in ./runs" in reader.llm("sessions", "stats", "--model", "none").err


def test_every_directory_ever_used_is_remembered(cli: CliRunner) -> None:
    for place in ("one", "two", "one"):
        words = ("chat", "-m", "offline/echo", "--save-dir", place, "--name", f"in_{place}")
        cli.llm(*words, typed=f"the word is {place}\n")
    cli.llm("sessions", "list", "--dir", "three")
    memory = cli.home / ".local/state/llm/directories"
    assert memory.read_text().split() == [str(cli.cwd / place) for place in ("one", "two")]
    assert memory.stat().st_mode & 0o777 == 0o600
    paths = [str(cli.cwd / f"{place}/in_{place}.json") for place in ("one", "two")]
    assert sorted(column(cli.llm("sessions", "list", "--all").out)) == paths
    assert column(cli.llm("sessions", "list", "--all", "--sort", "name", "--limit", "1").out) == paths[:1]
    assert sorted(set(column(cli.llm("search", "--all", "word").out))) == paths
    assert len(cli.llm("search", "--all", "--limit", "3", "word").out.splitlines()) == 3
    assert column(cli.llm("sessions", "stats", "--all").out, 1) == ["2"]
    assert cli.llm("sessions", "list").err.strip() == "no sessions found in ./runs"


def test_a_look_into_another_directory_does_not_move_the_shell_there(reader: CliRunner) -> None:
    keep(reader.cwd / "other", "elsewhere", 1, "m", said("a", "b"))
    looks = (":sessions list --dir other", ":search --dir other b", ":sessions stats --dir other")
    out = reader.script(*looks, "hello").out
    assert out.count("elsewhere.json") == 2
    assert [path.name for path in (reader.cwd / "other").iterdir()] == ["elsewhere.json"]


def test_looking_writes_nothing_into_the_directory(reader: CliRunner) -> None:
    before = reader.files()
    for words in ("sessions list", "search loop", "sessions stats --all", "sessions list --dir none"):
        reader.llm(*words.split())
    assert reader.files() == before


def test_a_list_off_a_terminal_loads_neither_pydantic_nor_rich(reader: CliRunner) -> None:
    code = (
        "import sys; from llmrepl.cli import main; from llmrepl.system.environment import Environment\n"
        "main(sys.argv[1:], Environment.real())\n"
        "print(sorted({'pydantic', 'rich', 'httpx', 'prompt_toolkit'} & set(sys.modules)))"
    )
    for words in (("sessions", "list"), ("search", "loop"), ("sessions", "stats")):
        done = subprocess.run([LLM[0], "-c", code, *words], cwd=reader.cwd, env=reader.environ, capture_output=True)
        assert done.stdout.splitlines()[-1] == b"[]", words


def tab(interaction: CliRunner, line: str) -> list[Completion]:
    """Return what Tab offers after `line`."""
    environment = Environment(interaction.environ, interaction.cwd, io.StringIO(), io.StringIO(), io.StringIO())
    completer = RegistryCompleter(all_commands(), _create_workspace(environment, Signals()))
    return list(completer.get_completions(Document(line), CompleteEvent(completion_requested=True)))


def test_tab_describes_the_sessions(reader: CliRunner) -> None:
    offered = {completion.text: completion.display_meta_text for completion in tab(reader, ":load ")}
    assert offered == {
        "loops": "2024-01-01 10:00  openai/gpt-4o  2 turns  Loops",
        "rust": "2024-01-02 10:00  openai/gpt-4o  1 turn",
        "free": "2024-01-03 10:00  ollama/llama3  1 turn",
        "bad": "cannot be read: not a complete session",
    }
    assert [completion.text for completion in tab(reader, ":sessions show ru")] == ["rust"]
    assert [completion.text for completion in tab(reader, ":load 'lo")] == ["loops"]
    assert {completion.text: completion.display_meta_text for completion in tab(reader, ":sessions list --tag ")} == {
        "Rust": "1 session",
        "python": "1 session",
    }


def test_names_are_found_by_beginning_part_and_letters() -> None:
    names = NameList(["python_loops.json", "my_python.json", "Rust.json", "old.json.gz", "ünï.json"])
    assert names.match("py") == ["python_loops.json"]
    assert names.match("PYTHON_") == ["python_loops.json"]
    assert names.match("_py") == ["my_python.json"]
    assert names.match("rt") == ["Rust.json"]
    assert names.match("ol") == ["old.json.gz"]
    assert names.match("ÜN") == ["ünï.json"]
    assert names.match("[.*") == names.match("zzz") == []
    assert len(names.match("")) == 5
    assert NameList([]).match("") == NameList([]).match("x") == []


_STEMS = st.text("ab.\n\ue000Ü", min_size=1, max_size=5).filter(lambda stem: stem[0] != ".")


@given(st.sets(st.tuples(_STEMS, st.sampled_from([".json", ".json.gz", ".json.json.gz", ".json.gz.json"]))), _STEMS)
def test_names_are_those_that_a_look_at_each_of_them_finds(parts: set[tuple[str, str]], typed: str) -> None:
    files, typed = sorted({"".join(part) for part in parts}, key=str.casefold), typed.casefold()
    stems = {file: without_ending(file.casefold()) for file in files}
    letters = re.compile(".*?".join(map(re.escape, typed)), re.DOTALL)
    fits = (
        [file for file in files if file.casefold().startswith(typed)],
        [file for file in files if typed in stems[file]],
        [file for file in files if letters.search(stems[file])],
    )
    assert NameList(files).match(typed) == next((found for found in fits if found), [])[::-1]


def test_of_many_names_the_newest_and_what_all_have_in_common_are_offered() -> None:
    names = [f"session_2024{n:04}.json" for n in range(1000)]
    offered = NameList(reversed(names)).match("session_")
    assert len(offered) == MOST
    assert offered[:2] == [names[-1], names[-2]]
    assert offered[-1] == names[0]
