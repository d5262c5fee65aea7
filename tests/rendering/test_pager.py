"""The user's pager: one that fails is named, and the text is shown without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrepl.errors import LLMError
from llmrepl.rendering.pager import page


def test_a_pager_gets_the_text(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {tmp_path}/shown\n")
    pager.chmod(0o755)
    assert page("text\n", {"PAGER": str(pager)})
    assert (tmp_path / "shown").read_text() == "text\n"


@pytest.mark.parametrize("pager", ["", "cat", "  "])
def test_no_pager_is_no_failure(pager: str) -> None:
    assert not page("text\n", {"PAGER": pager})


@pytest.mark.parametrize(
    ("pager", "said"),
    [
        ("less 'x", "cannot run the pager less 'x: it has an open quote"),
        ("/no/such/pager", "cannot run the pager /no/such/pager: no such file"),
        ("/etc/passwd", "cannot run the pager /etc/passwd: permission denied"),
        ("a\0b", "cannot run the pager"),
        ("false", "the pager false ended with exit code 1"),
        ("sh -c 'exit 127'", "the pager sh ended with exit code 127"),
    ],
)
def test_a_pager_that_fails_is_named(pager: str, said: str) -> None:
    with pytest.raises(LLMError, match=said):
        page("text\n", {"PAGER": pager, "PATH": "/usr/bin:/bin"})
