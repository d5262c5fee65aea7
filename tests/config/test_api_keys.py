"""API keys: from `.env`, stored by `llm keys set`, and never shown in full by a command."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.config.api_keys import Key, Keyring, read_env_file, redact, run_key_command
from llmrepl.errors import SaveError, UsageError

SECRET = "sk-test-1234567890"


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def env_file(directory: Path, text: str) -> Path:
    file = directory / ".env"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_a_key_does_not_show_itself() -> None:
    key = Key(SECRET, "OPENAI_API_KEY")
    assert SECRET not in repr(key) + str(key) + f"{[key]}"
    assert "OPENAI_API_KEY" in repr(key)


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.text("abc", min_size=1, max_size=4), max_size=4), st.text("abcd ", max_size=40))
def test_redacted_text_holds_no_key(values: list[str], text: str) -> None:
    hidden = redact(text, [Key(value, "") for value in values])
    assert not any(value in hidden.replace("[key]", "\n") for value in values)
    if not any(value in text for value in values):
        assert hidden == text


def test_the_lines_of_an_env_file(tmp_path: Path) -> None:
    found = read_env_file(
        env_file(
            tmp_path,
            """\ufeff# a comment
PLAIN=one
export EXPORTED = two
DOUBLE="three # not a comment"  # a comment
SINGLE='$HOME "four"'
TRAILING=five # a comment
HASH=fi#ve
EMPTY=
COMMENTED= # nothing
LATER=old
LATER=new
not an assignment
1BAD=x
EXPANDED=$PLAIN\r
""",
        )
    )
    assert found == {
        "PLAIN": "one",
        "EXPORTED": "two",
        "DOUBLE": "three # not a comment",
        "SINGLE": '$HOME "four"',
        "TRAILING": "five",
        "HASH": "fi#ve",
        "EMPTY": "",
        "COMMENTED": "",
        "LATER": "new",
        "EXPANDED": "$PLAIN",
    }


@settings(max_examples=100, derandomize=True, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_variables_or_a_refusal(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.env"
    file.write_bytes(data)
    file.chmod(0o600)
    try:
        assert all(name.isidentifier() for name in read_env_file(file))
    except UsageError as refused:
        assert str(file) in refused.message


@pytest.mark.parametrize("plant", ["link", "fifo", "directory", "writable by others", "huge"])
def test_an_env_file_that_is_not_ours_is_refused(plant: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    if plant == "link":
        (tmp_path / "real").write_text(f"OPENAI_API_KEY={SECRET}")
        file.symlink_to(tmp_path / "real")
    elif plant == "fifo":
        os.mkfifo(file)
    elif plant == "directory":
        file.mkdir()
    else:
        env_file(tmp_path, f"OPENAI_API_KEY={SECRET}\n" + "x" * (plant == "huge") * 100_000)
        file.chmod(0o602 if plant == "writable by others" else 0o600)
    with pytest.raises(UsageError, match="is not read") as refused:
        read_env_file(file)
    assert SECRET not in str(refused.value)


def test_no_env_file_is_no_failure(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}
    assert read_env_file(tmp_path / "no" / ".env") == {}


@pytest.mark.usefixtures("no_umask")
def test_the_keyring_keeps_keys_in_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "config" / "keys.json"
    ring = Keyring(file)
    assert (ring.list(), ring.get("openai")) == ((), None)
    ring.set("openai", f"  {SECRET}\n")
    ring.set("groq", "gsk-1")
    ring.set("groq", "gsk-2")
    assert Keyring(file).list() == ("groq", "openai")
    assert Keyring(file).get("openai") == Key(SECRET, str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    ring.remove("openai")
    assert json.loads(file.read_text()) == {"groq": "gsk-2"}
    assert os.listdir(file.parent) == ["keys.json"]
    with pytest.raises(UsageError, match="no key for 'openai'"):
        ring.remove("openai")


@pytest.mark.parametrize("value", ["", "   ", "two words", "k\x1b[31m", "schlüssel", "a\nb"])
def test_an_invalid_key_is_not_saved(value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Keyring(tmp_path / "keys.json").set("openai", value)
    assert not (tmp_path / "keys.json").exists()
    assert not value.strip() or value not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"openai": 3}', "[" * 50_000])
def test_a_damaged_keyring_is_reported_and_not_overwritten(text: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UsageError, match="is damaged"):
        Keyring(file).set("openai", SECRET)
    assert file.read_text() == text


def test_an_unwritable_keyring_is_reported(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file where the directory should be")
    with pytest.raises(SaveError) as failed:
        Keyring(tmp_path / "config" / "keys.json").set("openai", SECRET)
    assert SECRET not in str(failed.value)


def program(text: str) -> str:
    return f'{sys.executable} -c "{text}"'


def test_a_command_prints_the_key(tmp_path: Path) -> None:
    key = run_key_command(
        program("import os; print(os.environ['V'], os.getcwd(), sep='|')"), "openai", {"V": "x"}, tmp_path
    )
    assert key == Key(f"x|{tmp_path}", "api_key_cmd of openai")


def test_a_command_is_not_read_by_a_shell(tmp_path: Path) -> None:
    key = run_key_command("/bin/echo $(touch planted); touch planted > planted", "openai", {}, tmp_path)
    assert key.value == "$(touch planted); touch planted > planted"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "cannot be run"),
        ("'unclosed", "cannot be run"),
        ("/no/such/program", "cannot be run"),
        (program("print('sk-leak'); raise SystemExit(3)"), "failed with exit code 3"),
        (program("pass"), "printed nothing"),
    ],
)
def test_a_failed_command_is_reported_without_its_output(command: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as failed:
        run_key_command(command, "openai", {}, tmp_path)
    assert "sk-leak" not in str(failed.value) and "openai" in failed.value.message


def test_a_command_may_not_take_for_ever(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match="did not end within"):
        run_key_command(program("import time; time.sleep(30)"), "openai", {}, tmp_path, seconds=0.3)
    assert time.monotonic() - start < 5
