"""Code is highlighted line by line, and multi-line tokens keep their style."""

from __future__ import annotations

import pytest

from llmrepl.rendering.markdown.code import Highlighter

GREEN, DIM = "green", "dim italic"


def styles(info: str, lines: list[str]) -> list[list[tuple[str, str]]]:
    """Return the parts and styles of each line."""
    highlighter = Highlighter(info)
    coloured = [highlighter.line(line) for line in lines]
    assert [line.plain for line in coloured] == lines
    return [[(line.plain[span.start : span.end], str(span.style)) for span in line.spans] for line in coloured]


def only(parts: list[tuple[str, str]]) -> set[str]:
    """Return the styles of nonblank parts."""
    return {style for text, style in parts if text.strip()}


@pytest.mark.parametrize(
    ("language", "lines", "style"),
    [
        ("python", ['x = """if', "for while", 'def """'], GREEN),
        ("js", ["/* if", "for while `", "def */"], DIM),
        ("js", ["`if", "for /* while", "def`"], GREEN),
        ("c", ["/* if", "for while", "def */"], DIM),
        ("java", ["/** if", "for while", "def */"], DIM),
        ("go", ["`if", "for while", "def`"], GREEN),
        ("css", ["/* if", "a { b: c }", "def */"], DIM),
        ("html", ["<!-- if", "<b>while</b>", "def -->"], DIM),
        ("sql", ["/* if", "SELECT 'x'", "def */"], DIM),
        ("rust", ["/* if", "for while", "def */"], DIM),
        ("typescript", ["/* if", "for while", "def */"], DIM),
    ],
)
def test_strings_and_comments_go_across_lines(language: str, lines: list[str], style: str) -> None:
    before, inside, _ = styles(language, lines)
    assert only(inside) == {style}
    assert style in only(before)
    after = styles(language, [*lines, "0"])[3]
    assert only(after) != {style}


@pytest.mark.parametrize(
    ("language", "line", "next_line"),
    [
        ("js", "x = '/*'; // see /* there", "if (1) {}"),
        ("js", "/* a */ x /* b */", "if (1) {}"),
        ("python", 'x = "/*" # `', "if 1: pass"),
        ("go", "a := `x` + `y`", "if true {}"),
        ("c", 'char *a = "/*";', "if (1) {}"),
    ],
)
def test_what_is_closed_does_not_go_on(language: str, line: str, next_line: str) -> None:
    assert ("if", "magenta") in styles(language, [line, next_line])[1]


def test_a_docstring_that_looks_like_a_comment_ends_where_python_says() -> None:
    lines = ["def f():", '    """Doc', "/* not a comment", '    """', "    return 1"]
    assert ("return", "magenta") in styles("python", lines)[4]


@pytest.mark.parametrize("info", ["python", "{.python}", "py title=x", "Python", "python3"])
def test_the_language_is_the_first_word(info: str) -> None:
    assert ("if", "magenta") in styles(info, ["if x: pass"])[0]


@pytest.mark.parametrize("info", ["", "no-such-language", "../../etc", "{}", "c++\x1b"])
def test_other_code_is_shown_as_it_is(info: str) -> None:
    assert styles("text" if info.startswith("c++") else info, ["if x: <b>"]) == [[]]


def test_a_very_long_line_is_shown_as_it_is() -> None:
    assert styles("python", ["x = 1 + " * 1000]) == [[]]
