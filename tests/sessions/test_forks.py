"""The tree of forks: order, cycles and missing parents, at the prompt and in the terminal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from llmrepl.sessions.forks import ForkNode, family
from tests.cli_runner import CHAT, CliRunner

NAMES = st.sampled_from("abcdefg")


@given(st.lists(st.builds(ForkNode, NAMES, parent=NAMES | st.just("")), unique_by=lambda one: one.name), NAMES)
def test_each_session_stands_at_most_once_below_its_parent(branches: list[ForkNode], name: str) -> None:
    tree = list(family(branches, name))
    names = [branch.name for _, branch in tree]
    assert name in names
    assert len(names) == len(set(names))
    for at, (depth, branch) in enumerate(tree[1:], 1):
        above = next(one for d, one in reversed(tree[:at]) if d == depth - 1)
        assert above.name == branch.parent


def test_a_chain_of_thousands_is_no_trouble() -> None:
    chain = [ForkNode(str(number), parent=str(number - 1)) for number in range(1, 5000)]
    assert [depth for depth, _ in family(chain, "4999")] == list(range(5000))


TREE = """\
  talk.json, 3 turns: one
    after turn 1: early.json, 2 turns: one
*     after turn 2: later.json, 2 turns: one
    after turn 2: late.json, 2 turns: one
"""


def test_the_tree_with_the_open_session_marked(cli: CliRunner) -> None:
    cli.script("one", "two", "three", words=(*CHAT, "--name", "talk"))
    cli.script(":load talk", ":fork late --at 2", ":load talk", ":fork early --at 1", "new", ":fork later")
    cli.script("alone", words=(*CHAT, "--name", "other"))
    assert cli.script(":load later", ":history --tree").out == TREE
    assert cli.script(":load other", ":history --tree").out == "* other.json, 1 turn: alone\n"


def test_a_parent_that_is_gone(cli: CliRunner) -> None:
    cli.script("one", ":fork branch", words=(*CHAT, "--name", "talk"))
    (cli.runs / "talk.json").unlink()
    tree = "  talk.json, not here any more\n*   after turn 1: branch.json, 1 turn: one\n"
    assert cli.script(":load branch", ":history --tree").out == tree


def test_hostile_titles_and_parents_do_nothing(cli: CliRunner) -> None:
    cli.script("one", ":fork branch", words=(*CHAT, "--name", "talk"))
    file = cli.runs / "branch.json"
    data = json.loads(file.read_text())
    for parent in ({"session": "x\x1b[2J\n", "turn": "1"}, {"session": 1}, ["talk"], {"session": "branch.json"}):
        file.write_text(json.dumps(data | {"meta": {"title": "\x1b[2J\nevil", "parent": parent}}))
        ran = cli.script(":load branch", ":history --tree")
        assert ran.code == 0
        assert "\x1b" not in ran.out
        assert "branch.json, 1 turn: " in ran.out.splitlines()[-1]
