"""Session names: which are refused, which are equal, and which file one selects."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.names import MAX_NAME_BYTES, check_name, find_session, same_name, session_names

REFUSED = {
    "cannot contain / or \\": ["../x", "a/../../b", "/etc/x", "~/x", "C:\\x", "a\\b", "x/"],
    "cannot be empty": ["", " ", ".", "..", "\t"],
    "cannot begin with a dot or a blank, nor end with one": [".hidden", " x", "x ", "x.", "x\u3000"],
    "cannot begin with ~": ["~root"],
    "cannot contain control or invisible characters": [
        *("a\0b", "a\nb", "a\x1b[2Jb", "a\x7fb", "a\x9bb", "a\u202eb", "a\u200bb", "a\ufeffb", "a\udcffb", "a\tb"),
        "a\U000e0041b",
    ],
    'cannot contain any of < > : | ? * "': ["a:b", "a<b", "a>b", "a|b", "a?b", "a*b", 'a"b'],
    "some systems keep that for a device": ["CON", "nul.txt", "aux", "COM1", "lpt9.a.b", "con.json", "Prn "],
    f"cannot be longer than {MAX_NAME_BYTES} bytes": ["x" * 201, "é" * 101, "🙂" * 51],
}


@pytest.mark.parametrize(("reason", "name"), [(r, n) for r, names in REFUSED.items() for n in names])
def test_refused(reason: str, name: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_name(name)
    if name != "Prn ":
        assert reason in refused.value.message
    assert refused.value.hint
    assert escape_name(str(refused.value)) == str(refused.value)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("my_coding_session", "my_coding_session"),
        ("notes.json", "notes"),
        ("notes.json.gz", "notes"),
        ("two words", "two words"),
        ("a.b", "a.b"),
        ("-", "-"),
        ("-x", "-x"),
        ("🙂", "🙂"),
        ("日本語", "日本語"),
        ("cafe\u0301", "caf\u00e9"),
        ("x" * 200, "x" * 200),
        ("x" * 200 + ".json", "x" * 200),
        ("console", "console"),
    ],
)
def test_allowed(given: str, name: str) -> None:
    assert check_name(given) == name


@given(st.text(max_size=60))
def test_a_name_that_is_allowed_is_one_visible_portable_file(given: str) -> None:
    try:
        name = check_name(given)
    except UsageError:
        return
    assert name == Path(name).name == unicodedata.normalize("NFC", name) == escape_name(name)
    assert not name.startswith((".", " ", "~")) and not name.endswith((".", " "))
    assert len(f".{name}.journal.corrupt".encode()) <= 255
    assert check_name(name) == name or name.endswith((".json", ".gz"))


def test_spellings_of_one_name() -> None:
    assert same_name("Café", "cafe\u0301")
    assert same_name("NOTES", "notes")
    assert not same_name("notes", "notes2")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    runs.mkdir()
    names = "alpha.json alphabet.json Caf\u00e9.json old.json.gz .hidden.json n.txt"
    for name in (*names.split(), "beta two.json"):
        (runs / name).touch()
    return runs


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("alpha", "alpha.json"),
        ("alpha.json", "alpha.json"),
        ("alphab", "alphabet.json"),
        ("beta two", "beta two.json"),
        ("be", "beta two.json"),
        ("CAFE\u0301", "Caf\u00e9.json"),
        ("old", "old.json.gz"),
        ("old.json.gz", "old.json.gz"),
        ("runs/alpha", "alpha.json"),
        ("./runs/alpha.json", "alpha.json"),
    ],
)
def test_found(runs: Path, given: str, name: str) -> None:
    assert find_session(runs, given, runs.parent) == runs / name


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("al", "al may mean alpha, alphabet"),
        ("gamma", "There is no session gamma"),
        ("hidden", "There is no session hidden"),
        ("n.txt", "There is no session n.txt"),
        ("", "A session name cannot be empty"),
        ("a\0b", "A session name cannot be empty"),
        ("../gamma", "There is no session ../gamma"),
        ("\x1b[2J", r"There is no session \x1b[2J"),
        ("a\udcff", r"There is no session a\udcff"),
        ("x" * 5000, "There is no session xxx"),
    ],
)
def test_not_found(runs: Path, given: str, what: str) -> None:
    with pytest.raises(UsageError) as refused:
        find_session(runs, given, runs.parent)
    assert what in refused.value.message


def test_only_session_files_are_sessions(runs: Path) -> None:
    assert sorted(session_names(runs)) == [
        "Caf\u00e9.json", "alpha.json", "alphabet.json", "beta two.json", "old.json.gz"
    ]  # fmt: skip
    assert session_names(runs / "nowhere") == []
