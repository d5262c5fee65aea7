"""The user's editor: failures are reported, and what was written in it is never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrepl.errors import UsageError
from llmrepl.prompt.editor import edit_text


def program(place: Path, script: str, mode: int = 0o755) -> str:
    path = place / "editor"
    path.write_text(script)
    path.chmod(mode)
    return str(path)


def kept(message: str) -> Path:
    return Path(message.rpartition("kept in ")[2])


def test_what_the_editor_saves_comes_back(tmp_path: Path) -> None:
    assert edit_text("old", {"EDITOR": program(tmp_path, '#!/bin/sh\nprintf "%s" new >> "$1"\n')}) == "oldnew"
    assert edit_text("old", {"VISUAL": program(tmp_path, '#!/bin/sh\nprintf "\\377\\376a\\0" > "$1"\n')}) == "a"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('printf "caf\\351" > "$1"', "is not UTF-8 text"),
        ('printf "my words" > "$1"; exit 3', "ended with exit code 3"),
        ('printf "my words" > "$1"; kill -9 $$', "ended with exit code -9"),
        ('printf "my words" > "$1.x"; rm "$1"; ln -s "$1.x" "$1"', "cannot be read"),
    ],
)
def test_unusable_editor_output_is_kept(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        edit_text("old", {"EDITOR": program(tmp_path, f"#!/bin/sh\n{script}\n")})
    path = kept(raised.value.message)
    assert path.read_bytes() in (b"caf\xe9", b"my words")
    path.unlink()


@pytest.mark.parametrize(
    ("script", "mode", "said"),
    [
        ("#!/bin/sh\nexit 1\n", 0o755, "ended with exit code 1"),
        ('#!/bin/sh\nrm "$1"\n', 0o755, "left no file"),
        ("\0garbage", 0o755, "exec format error"),
        ("#!/no/such/interpreter\n", 0o755, "no such file"),
        ("#!/bin/sh\n", 0o644, "permission denied"),
    ],
)
def test_where_nothing_was_written_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, mode: int, said: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(UsageError, match=said):
        edit_text("old", {"EDITOR": program(tmp_path, script, mode)})
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("editor", ["vi 'x", "a\0b", "/no/such/editor", "/"])
def test_an_editor_that_cannot_be_run_is_named(editor: str) -> None:
    with pytest.raises(UsageError, match="cannot run the editor") as raised:
        edit_text("old", {"EDITOR": editor})
    assert raised.value.hint == "set VISUAL or EDITOR to an editor"
