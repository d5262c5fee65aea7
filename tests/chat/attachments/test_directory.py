"""A directory is attached as git sees it: what .gitignore names, hidden files and links stay out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.chat.attachments import found as found_module
from llmrepl.chat.attachments.directory import not_ignored, text_files
from llmrepl.chat.attachments.files import from_path
from llmrepl.chat.attachments.found import Found
from llmrepl.errors import UsageError

NAMES = ("a", "b.txt", "build", "x.log", "docs")
PATTERNS = (
    "*.log",
    "!x.log",
    "build/",
    "/a",
    "docs/**",
    "!docs/b.txt",
    "**/a",
    "b.*",
    "/docs/*",
    "# note",
    "",
    "[ab]",
    "build",
)


def listed(top: Path) -> list[str]:
    return [str(path.relative_to(top)) for path in text_files(top, Found())]


def git_lists(repository: Path, below: Path) -> list[str]:
    """What git would add of a directory, without hidden files."""
    words = ["git", "-C", str(below), "ls-files", "--others", "--exclude-standard", "-z", "."]
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    return [name for name in done.stdout.split("\0") if name and not any(p.startswith(".") for p in Path(name).parts)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repositories")


@settings(max_examples=60, deadline=None)
@given(
    paths=st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), min_size=1, max_size=8),
    rules=st.dictionaries(
        st.sampled_from(("", "docs", "build", "docs/a")), st.lists(st.sampled_from(PATTERNS)), max_size=3
    ),
    below=st.sampled_from(("", "docs")),
)
def test_what_git_ignores_is_left_out(
    places: Path, paths: list[list[str]], rules: dict[str, list[str]], below: str
) -> None:
    top = places / str(len(list(places.iterdir())))
    top.mkdir()
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    (top / "docs").mkdir()
    for parts in paths:
        path = top.joinpath(*parts)
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text")
    for place, lines in rules.items():
        if (top / place).is_dir():
            (top / place / ".gitignore").write_text("\n".join(lines))
    assert sorted(listed(top / below)) == sorted(git_lists(top, top / below))


def test_the_rules_of_the_repository_apply_below_it(tmp_path: Path) -> None:
    (tmp_path / ".git" / "info").mkdir(parents=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("private.txt\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "src").mkdir()
    for name in ("a.py", "b.log", "private.txt"):
        (tmp_path / "src" / name).write_text("text")
    assert listed(tmp_path / "src") == ["a.py"]


def test_links_and_hidden_files_stay_out_and_are_counted(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a key")
    top = tmp_path / "project"
    top.mkdir()
    (top / "link").symlink_to(tmp_path / "secret")
    (top / "up").symlink_to(tmp_path)
    (top / ".env").write_text("KEY=1")
    (top / "a.txt").write_text("text")
    found = Found()
    assert [path.name for path in text_files(top, found)] == ["a.txt"]
    assert found.left_out == {"symbolic links": 2, "hidden": 1}


def test_a_directory_gives_its_text_files_in_order(tmp_path: Path) -> None:
    for name, data in {
        "b/z.txt": b"z",
        "b/a.txt": b"a",
        "a.txt": b"1",
        "c.bin": b"\0\1",
        "d.png": b"\x89PNG\xff",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    found = from_path(tmp_path, tmp_path)
    assert [one.name for one in found.attachments] == ["a.txt", "b/a.txt", "b/z.txt"]
    assert found.left_out == {"not text": 2}


def test_a_directory_that_is_too_large_is_refused(tmp_path: Path) -> None:
    for number in range(found_module.MAX_FILES + 1):
        (tmp_path / f"{number}.txt").write_text("x")
    with pytest.raises(UsageError, match="more than 1,000 files"):
        from_path(tmp_path, tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    for number in range(3):
        (tmp_path / f"{number}.txt").write_bytes(b"x" * (found_module.MAX_BYTES // 2))
    with pytest.raises(UsageError, match="more than 20 MiB"):
        from_path(tmp_path, tmp_path)


def test_a_pattern_leaves_out_what_is_ignored_only_where_it_goes_through_directories(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n")
    for name in ("a.txt", "src/b.txt", "build/c.txt", "src/build/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    assert [one.name for one in from_path(tmp_path / "build" / "*.txt", tmp_path).attachments] == ["build/c.txt"]
    found = from_path(tmp_path / "**" / "*.txt", tmp_path)
    assert [one.name for one in found.attachments] == ["a.txt", "src/b.txt"]
    assert found.left_out == {"ignored by .gitignore": 2}
    assert list(not_ignored([tmp_path / "a.txt"], tmp_path, Found())) == [tmp_path / "a.txt"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_text("one")
    (tmp_path / "a1.txt").write_text("another")
    assert [one.data for one in from_path(tmp_path / "a[1].txt", tmp_path).attachments] == [b"one"]
    with pytest.raises(UsageError, match=r"No file matches b\*"):
        from_path(tmp_path / "b*", tmp_path)
