"""Full-text search in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrepl.providers.offline.docs_search import DocsSearch
from tests.providers.pages import PAGES


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> DocsSearch:
    directory = tmp_path_factory.mktemp("docs")
    for name, text in PAGES.items():
        (directory / name).write_text(text, encoding="utf-8")
    return DocsSearch(directory)


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("how do I export a session to markdown?", "Export a session"),
        ("How can I get my conversation out as HTML?", "Export a session"),
        ("how do I store my chat under a name", "Save a session"),
        ("what did this cost me?", "What a turn costs"),
        ("can I set a spending limit, a budget?", "Budgets"),
        ("where do I put my api key", "API keys"),
        ("what does :set do?", "The settings"),
        ("removing sessions", "Delete a session"),
    ],
)
def test_the_section_about_a_question_comes_first(search: DocsSearch, question: str, heading: str) -> None:
    assert search.search(question)[0].path[-1] == heading


@pytest.mark.parametrize(
    "question", ["what is the capital of France?", "2+2", "?", "", "so what is it", "\ud800 \x1b[2J"]
)
def test_other_questions_find_nothing(search: DocsSearch, question: str) -> None:
    assert search.search(question) == []


def test_the_nearest_sections_may_have_little_of_the_question(search: DocsSearch) -> None:
    question = "does the flux capacitor delete everything it finds in the basement"
    assert search.search(question) == []
    assert search.nearest(question, 3)[0].path[-1] == "Delete a session"
    assert {section.page for section in search.nearest("settings of a session", 5, "keys.md")} == {"keys.md"}


def test_pages_for_users_come_before_those_for_builders(tmp_path: Path) -> None:
    (tmp_path / "architecture.md").write_text("# Zebras\n\nZebras, zebras.\n", encoding="utf-8")
    (tmp_path / "animals.md").write_text("# Animals\n\nThere are zebras among other animals.\n", encoding="utf-8")
    assert DocsSearch(tmp_path).search("zebras")[0].page == "animals.md"
    (tmp_path / "animals.md").unlink()
    assert DocsSearch(tmp_path).search("zebras")[0].page == "architecture.md"


def test_code_counts_less_than_prose(tmp_path: Path) -> None:
    code = "\n".join(f"zebra --stripes {n}" for n in range(30))
    (tmp_path / "code.md").write_text(f"# Animals\n\n## Commands\n\nLike this:\n\n```\n{code}\n```\n", encoding="utf-8")
    (tmp_path / "prose.md").write_text("# More\n\n## Stripes\n\nA zebra has them from birth on.\n", encoding="utf-8")
    assert [section.page for section in DocsSearch(tmp_path).search("what about zebra stripes")] == [
        "prose.md",
        "code.md",
    ]
