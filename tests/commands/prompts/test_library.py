"""Saved prompts in files: front matter, variables, `@NAME` as a system prompt, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.chat.prompt_library import parse
from llmrepl.errors import UsageError
from tests.cli_runner import CHAT, CliRunner
from tests.providers.loopback import KEY, serving, sse, stream

REPLY = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))

REVIEW = """---
description: review code
model: together/m
system: You are strict.
variables:
  language: no
  focus:
---
Review this {language} code for {focus}.
:cost
"""


def write(cli: CliRunner, name: str, text: str) -> None:
    place = cli.home / ".config" / "llm" / "prompts"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.md").write_text(text)


def test_a_file_with_front_matter_is_sent_to_its_model(cli: CliRunner) -> None:
    write(cli, "review", REVIEW)
    with serving(REPLY) as server:
        environ = {"TOGETHER_BASE_URL": f"{server.url}/v1", "TOGETHER_API_KEY": KEY}
        ran = cli.script(":run review focus=speed", "again", words=CHAT, **environ)
    assert ran.code == 0 and len(server.seen) == 1, "only that prompt goes to the other model"
    assert server.seen[0].body["messages"] == [
        {"role": "system", "content": "You are strict."},
        {"role": "user", "content": "Review this no code for speed.\n:cost"},
    ]


def test_a_missing_value_is_refused_in_a_script(cli: CliRunner) -> None:
    write(cli, "review", REVIEW)
    ran = cli.script(":run review")
    assert ran.code == 2 and "The prompt review needs a value." in ran.err and ran.out == ""


def test_the_commands_of_the_library(cli: CliRunner) -> None:
    assert "No saved prompts yet." in cli.llm("prompts").err
    write(cli, "review", REVIEW)
    write(cli, "wrong", "---\nmodle: x\n---\ntext")
    config = cli.home / ".config" / "llm" / "config.toml"
    config.write_text('[prompts]\nmail = "Write to {who}."\nreview = "hidden by the file"\n')
    listed = cli.llm("prompts", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == ["mail", "review", "wrong"]
    assert "language=no focus" in listed and "review code" in listed and "'modle' is unknown" in listed
    assert cli.llm("prompts", "show", "mail").out == "Write to {who}.\n"
    ran = cli.llm("prompts", "show", "mial")
    assert ran.code == 2 and "Did you mean mail?" in ran.err
    assert cli.llm("prompts", "edit", "review").code == 2, "a script has no editor"
    assert cli.llm("prompts", "show", "../keys").code == 2


def test_a_saved_prompt_as_system_prompt(cli: CliRunner) -> None:
    write(cli, "pirate", "Talk like a {kind:pirate}.")
    write(cli, "open", "Talk like {who}.")
    ran = cli.script(":system @pirate", ":system")
    assert ran.out == "Talk like a pirate.\n"
    assert cli.script(":system", words=(*CHAT, "-s", "@pirate")).out == "Talk like a pirate.\n"
    assert cli.script(":system @ home", ":system").out == "@ home\n"
    assert (
        '"system": "Talk like a pirate."' in cli.llm("ask", "-m", "offline/echo", "--json", "-s", "@pirate", "hi").out
    )
    for name in ("@gone", "@open"):
        ran = cli.llm("ask", "-m", "offline/echo", "-s", name, "hi")
        assert (ran.code, ran.out) == (2, "")


def test_tab_knows_names(cli: CliRunner) -> None:
    write(cli, "review", REVIEW)
    assert cli.llm("--complete", "prompts", "re").out == "review\t\n"


@pytest.mark.parametrize(
    "text",
    [
        "---\n[\n---\ntext",
        "---\n- a\n---\ntext",
        "---\nvariables: {gone: 1}\n---\ntext",
        "---\nvariables: 3\n---\ntext",
        "---\nsystem: [a]\n---\ntext",
        "---\n!!python/object/apply:os.system [id]\n---\ntext",
        "---\nmodel: x\n---\n",
        "",
    ],
)
def test_front_matter_that_is_wrong_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="The front matter of the prompt p is wrong"):
        parse("p", text)


@given(st.text())
def test_any_file_is_a_prompt_or_refused(text: str) -> None:
    for whole in (text, f"---\n{text}\n---\nbody"):
        try:
            assert parse("p", whole).text
        except UsageError as refused:
            assert "prompt p" in refused.message
