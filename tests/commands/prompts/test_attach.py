"""Files, directories, patterns, PDFs and web pages go with a prompt; what goes is said before it does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.cli_runner import CHAT, CliRunner
from tests.pdf_files import pdf, with_password
from tests.providers.loopback import KEY, Answer, ndjson, serving, sse, status, stream

REPORT = pdf("Revenue rose by 7 percent", "Costs fell")
DATA = base64.b64encode(REPORT).decode()

PRICED = '[prices."openai/m"]\ninput = 10.0\noutput = 20.0\n'

CHAT_REPLY = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))
RESPONSES_REPLY = stream(
    sse(
        {"type": "response.output_text.delta", "delta": "ok"},
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
    )
)
ANTHROPIC_REPLY = stream(
    sse(
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "ok"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )
)
GEMINI_REPLY = stream(sse({"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}))
OLLAMA_REPLY = stream(ndjson({"message": {"content": "ok"}, "done": True, "done_reason": "stop"}))


def configure(cli: CliRunner, text: str) -> None:
    place = cli.home / ".config" / "llm"
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.toml").write_text(text)


def test_several_paths_patterns_and_directories_go_together(cli: CliRunner) -> None:
    for name in ("a.txt", "my notes.md", "src/one.py", "src/two.py", "src/cache/x.py"):
        (cli.cwd / name).parent.mkdir(parents=True, exist_ok=True)
        (cli.cwd / name).write_text(f"text of {name}\n")
    (cli.cwd / "src" / ".gitignore").write_text("cache/\n")
    ran = cli.script(":attach a.txt 'my notes.md' src a.txt", ":attach", "look")
    assert ran.code == 0
    assert "Attached 4 files (" in ran.err and ": a.txt, my notes.md, src/one.py, src/two.py." in ran.err
    assert "Left out: 1 hidden, 1 ignored by .gitignore." in ran.err
    assert ran.out.startswith("a.txt\nmy notes.md\nsrc/one.py\nsrc/two.py\nlook\n\na.txt:\n```\ntext of a.txt\n```")
    assert "text of src/cache" not in ran.out
    assert "text of my notes.md" in cli.script(":attach my notes.md", "look").out
    assert cli.script(":attach src/*.py", "look").out.count("text of src/") == 2


def test_all_or_nothing_is_attached(cli: CliRunner) -> None:
    (cli.cwd / "a.txt").write_text("text")
    ran = cli.script(":attach a.txt gone.txt", "look", words=(*CHAT, "--keep-going"))
    assert ran.code == 2 and "'gone.txt' is not a file" in ran.err and ran.out == "look\n"


def test_files_for_one_question(cli: CliRunner) -> None:
    for name in ("a.txt", "b.txt"):
        (cli.cwd / name).write_text(f"text of {name}")
    ran = cli.llm("ask", "-m", "offline/echo", "-f", "a.txt", "--file", "b.txt", "compare", typed="piped")
    assert ran.out == ("compare\n\npiped\n\na.txt:\n```\ntext of a.txt\n```\n\nb.txt:\n```\ntext of b.txt\n```\n")
    assert "note: Attached 2 files (26 bytes, ~10 tokens): a.txt, b.txt." in ran.err
    ran = cli.llm("ask", "-m", "offline/echo", "-f", "-", "-f", "a.txt", "compare", typed="piped")
    assert ran.out.startswith("compare\n\nstandard input:\n```\npiped\n```\n\na.txt:")
    ran = cli.llm("ask", "-m", "offline/echo", "-f", "gone.txt", "compare")
    assert (ran.code, ran.out) == (2, "")


def test_files_for_the_first_prompt(cli: CliRunner) -> None:
    for name in ("a.txt", "b.txt"):
        (cli.cwd / name).write_text(f"text of {name}")
    ran = cli.script("one", "two", words=(*CHAT, "-f", "a.txt", "-f", "b.txt", "--name", "talk"))
    assert "Attached 2 files" in ran.err
    assert ["text of" in question for question, _ in cli.said("talk")] == [True, False]


def test_tokens_and_cost_are_said_before_anything_is_sent(cli: CliRunner) -> None:
    (cli.cwd / "a.txt").write_text("x" * 3000)
    configure(cli, PRICED)
    with serving(RESPONSES_REPLY) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        ran = cli.script(":attach a.txt", words=("chat", "-m", "openai/m"), **environ)
        assert "Attached a.txt (3.0 KB, ~1,000 tokens, ~$0.0100)." in ran.err and not server.seen
        ran = cli.llm("ask", "-m", "openai/m", "-f", "a.txt", "what?", **environ)
        assert "a.txt (3.0 KB, ~1,000 tokens, ~$0.0100)" in ran.err and ran.out == "ok\n"


def test_what_no_context_holds_is_refused_before_anything_is_sent(cli: CliRunner) -> None:
    (cli.cwd / "large.txt").write_text("x" * 3_000_000)
    with serving(RESPONSES_REPLY) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        ran = cli.llm("ask", "-m", "openai/gpt-4o-mini", "-f", "large.txt", "what?", **environ)
    assert ran.code == 2 and "Too long for openai/gpt-4o-mini: about 1,000,000 of 128,000 tokens." in ran.err
    assert not server.seen


NATIVE: dict[str, tuple[str, Answer, Any]] = {
    "openai": (
        "OPENAI_BASE_URL",
        RESPONSES_REPLY,
        {"type": "input_file", "filename": "r.pdf", "file_data": f"data:application/pdf;base64,{DATA}"},
    ),
    "anthropic": (
        "ANTHROPIC_BASE_URL",
        ANTHROPIC_REPLY,
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}},
    ),
    "gemini": (
        "GOOGLE_GEMINI_BASE_URL",
        GEMINI_REPLY,
        {"inlineData": {"mimeType": "application/pdf", "data": DATA}},
    ),
    "openrouter": (
        "OPENROUTER_BASE_URL",
        CHAT_REPLY,
        {"type": "file", "file": {"filename": "r.pdf", "file_data": f"data:application/pdf;base64,{DATA}"}},
    ),
}


@pytest.mark.parametrize("vendor", NATIVE)
def test_a_pdf_goes_as_it_is_to_who_reads_it(cli: CliRunner, vendor: str) -> None:
    (cli.cwd / "r.pdf").write_bytes(REPORT)
    variable, reply, expected = NATIVE[vendor]
    with serving(reply) as server:
        environ = {variable: server.url, f"{vendor.upper()}_API_KEY": KEY}
        ran = cli.llm("ask", "-m", f"{vendor}/m", "-f", "r.pdf", "what?", **environ)
    assert ran.out == "ok\n" and "r.pdf (2 pages, " in ran.err and "~5,000 tokens" in ran.err
    assert json.dumps(expected) in json.dumps(server.seen[-1].body)
    assert "Revenue" not in json.dumps(server.seen[-1].body)


def test_who_reads_no_pdf_gets_its_text_and_that_is_said(cli: CliRunner) -> None:
    (cli.cwd / "r.pdf").write_bytes(REPORT)
    (cli.cwd / "scan.pdf").write_bytes(pdf(""))
    with serving(OLLAMA_REPLY) as server:
        words = ("ask", "-m", "ollama/m", "what?")
        ran = cli.llm(*words, "-f", "r.pdf", OLLAMA_HOST=server.url)
        assert "ollama takes no PDFs. The text of r.pdf is sent." in ran.err
        assert "[page 1]\nRevenue rose by 7 percent" in server.seen[-1].body["messages"][-1]["content"]
        sent = len(server.seen)
        ran = cli.llm(*words, "-f", "scan.pdf", OLLAMA_HOST=server.url)
        assert ran.code == 2 and "scan.pdf has no text" in ran.err and len(server.seen) == sent


def test_a_pdf_stays_with_the_session_and_follows_the_model(cli: CliRunner) -> None:
    (cli.cwd / "r.pdf").write_bytes(REPORT)
    with serving(ANTHROPIC_REPLY) as claude, serving(OLLAMA_REPLY) as ollama:
        environ = {"ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": KEY, "OLLAMA_HOST": ollama.url}
        lines = (":attach r.pdf", "what?", ":model ollama/m", "and?", ":model anthropic/m", "again?")
        assert cli.script(*lines, words=("chat", "-m", "anthropic/m", "--name", "talk"), **environ).code == 0
    assert cli.session("talk")["turns"][0]["messages"][0]["attachments"][0]["data"] == DATA
    assert "Revenue rose" in ollama.seen[-1].body["messages"][0]["content"]
    assert DATA in json.dumps(claude.seen[-1].body["messages"][0])


@pytest.mark.parametrize("words", [("ask", "-m", "offline/echo", "-f", "r.pdf", "what?"), (*CHAT, "-f", "r.pdf")])
def test_a_pdf_with_a_password_is_said(cli: CliRunner, words: tuple[str, ...]) -> None:
    (cli.cwd / "r.pdf").write_bytes(with_password(REPORT, "secret"))
    ran = cli.llm(*words, typed="hello\n")
    assert (ran.code, ran.out) == (2, "") and "r.pdf has a password." in ran.err


PAGE = status(200, "<title>News</title><p>It <b>rains</b>.", content_type="text/html")


def test_a_web_page_is_fetched_by_an_explicit_word_only(cli: CliRunner) -> None:
    with serving(PAGE) as server:
        ran = cli.script(f"read {server.url}/a", ":retry", ":history")
        assert ran.code == 0 and not server.seen
        refused = cli.script(f":attach {server.url}/a", "look")
        assert refused.code == 2 and "127.0.0.1 is a private address" in refused.err and not server.seen
        words = (*CHAT, "--allow-shell")
        ran = cli.script(f":attach --allow-private {server.url}/a", "look", words=words)
        assert "# News\n\nIt **rains**." in ran.out and f"Attached {server.url}/a (" in ran.err
        assert server.seen[0].path == "/a" and "authorization" not in server.seen[0].headers
        ran = cli.llm("ask", "-m", "offline/echo", "--allow-private", "-f", f"{server.url}/b", "what?")
        assert "It **rains**." in ran.out and server.seen[-1].path == "/b"


def test_piped_text_fetches_nothing_from_a_private_network(cli: CliRunner) -> None:
    with serving(PAGE) as server:
        ran = cli.script(f":attach --allow-private {server.url}/a", "look")
    assert ran.code == 2 and "A script may not" in ran.err and not server.seen


def test_a_page_that_cannot_be_fetched_is_a_failure(cli: CliRunner) -> None:
    with serving(status(500, "oops")) as server:
        words = ("ask", "-m", "offline/echo", "--allow-private", "-f", server.url, "what?")
        ran = cli.llm(*words)
        assert (ran.code, ran.out) == (1, "") and "answered with status 500" in ran.err
    assert cli.llm(*words).code == 1
    assert "no address" not in cli.llm("ask", "-m", "offline/echo", "-f", "https://no-such.invalid/", "what?").err
