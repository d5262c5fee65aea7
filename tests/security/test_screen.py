"""Foreign text is shown as text: it cannot move the cursor, set the title, fill the clipboard or type."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llmrepl.prompt.typeahead import decode_keys
from tests.cli_runner import CliRunner
from tests.providers.loopback import Answer, serving, sse, status, stream
from tests.security.attack import KEY
from tests.test_journeys import CTRL_D, ENTER, SlowServer, shell, slow

__all__ = ["slow"]

HOSTILE = (
    "\x1b]0;owned\x07 \x1b]52;c;b3duZWQ=\x07 \x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\ \x1b[2J\x1b[H \x1b[6n \x1b[c "
    '\x1bP$q"p\x1b\\ \x1b[?1049h \x9b31m \x9d0;x\x9c \x00\x05\x08\x0b\x0c\x0e\x7f \u202egnp.exe\u202c \u2066x\u2069 '
    "\U000e0041 a\rb"
)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
HARMLESS = OBEYED.sub("?", HOSTILE)
SEQUENCE = re.compile(rb"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|P[^\x1b]*|\[[0-9;?]*[ -/]*[@-~]|[^\[\]P]?)")
OUR_TITLE = re.compile(rb"\x1b\]0;llm: [\x20-\x7e]*\x1b\\")
ANSWERS_OF_TERMINALS = (
    "\x1b[12;40R",
    "\x1b[?62;22c",
    "\x1b[>0;276;0c",
    "\x1b]11;rgb:0000/0000/0000\x07",
    "\x1b]52;c;b3duZWQ=\x1b\\",
    "\x1bP1$r0m\x1b\\",
    "\x1b[I",
    "\x1b[O",
    "\x1b[<0;3;4M",
)


def delta(**parts: str) -> dict[str, object]:
    return {"model": parts.get("content", ""), "choices": [{"index": 0, "delta": parts}]}


def whole(text: str) -> Answer:
    """Return a reply in which every part is `text`."""
    return stream(
        sse(
            delta(reasoning=text),
            delta(content=text),
            delta(content=f"\n\n```\n{text}\n```\n\n# {text}\n"),
            delta(content=f"\n| {text} | b |\n| - | - |\n| c | {text} |\n\n> {text}\n"),
            "[DONE]",
        )
    )


def answers(text: str) -> list[Answer]:
    """Return a server's answers to consecutive requests."""
    error = {"error": {"message": text, "code": text, "type": text}}
    broken = stream(sse(delta(content=text), error))
    return [whole(text), status(401, error), broken, status(302, Location=f"/{text[:6]}")]


def toml(text: str) -> str:
    """Encode a text as a TOML string."""
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


def prompted(screen: str, line: str) -> bool:
    """Whether the prompt has returned after `line`, with the toolbar below it."""
    return bool(re.search(rf"You: {re.escape(line)}\n(?:.*\n)*You:\n+[^\n]*\Z", screen))


def kinds(raw: bytes) -> set[bytes]:
    """Return the kinds of escape sequences, except those that depend on widths and timing."""
    return {found for found in SEQUENCE.findall(raw) if not re.fullmatch(rb"\x1b\[[\d;]*[mA-DK]", found)}


def obeyed(raw: bytes) -> list[str]:
    """Return the control characters except those of escape sequences and of the prompt itself."""
    return OBEYED.findall(re.sub(r"[\r\b]", "", SEQUENCE.sub(b"", raw).decode()))


def dialogue(cli: CliRunner, text: str) -> bytes:
    """Return the terminal output of a conversation in which server, settings and files all contain `text`."""
    (cli.cwd / ".llm.toml").write_text(f"{toml(text)} = 1\ndefault_model = {toml(text)}\n")
    (cli.cwd / ".llm.toml").chmod(0o600)
    (cli.cwd / "note.txt").write_text(text)
    with serving(*answers(text)) as server:
        environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "LLM_MAX_RETRIES": "0"}
        lines = ("hello", "again", "and again", "once more", ":history", ":attach note.txt", ":config list")
        with shell(cli, "chat", "-m", "openai/x", "--name", "talk", **environ) as terminal:
            for line in lines:
                terminal.send(line + ENTER)
                terminal.wait_until(lambda screen, line=line: prompted(screen, line), line)  # type: ignore[misc]
            terminal.send(CTRL_D)
            assert terminal.ends() == 0
            return terminal.raw


def test_hostile_text_makes_no_other_sequences_than_harmless_text(tmp_path: Path) -> None:
    raws = []
    for name, text in (("hostile", HOSTILE), ("harmless", HARMLESS)):
        (tmp_path / name).mkdir()
        raws.append(dialogue(CliRunner.at(tmp_path / name), text))
    assert b"owned" in raws[0] and b"owned" in raws[1]
    assert kinds(raws[0]) == kinds(raws[1])
    assert not obeyed(raws[0])


LOOKING = (
    ":sessions list",
    ":sessions show talk",
    ":show a",
    ":sessions search owned",
    ":sessions analyze",
    ":model offline/echo",
    ":load talk",
    ":system",
    ":export txt",
    ":models list --filter owned",
    ":config list",
    ":cost detailed",
)


def test_what_files_say_is_shown_without_a_control_character(cli: CliRunner) -> None:
    text = lay_out(cli)
    with shell(cli, LLM_MODEL="offline/echo") as terminal:
        for line in LOOKING:
            terminal.send(line + ENTER)
            terminal.wait_until(lambda screen, line=line: prompted(screen, line), line)  # type: ignore[misc]
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
        raw = terminal.raw
    assert text.encode("unicode_escape")[:20] in raw
    raw = OUR_TITLE.sub(b"", raw)
    assert not any(kind in raw for kind in (b"\x1b]", b"\x1bP", b"\x1b[2J\x1b[H \x1b[6n", b"\x07", b"\x9b3"))
    assert not obeyed(raw)


REFUSED = (
    ("\x1b[2J",),
    ("help", "\x9b2J"),
    ("ask", "-m", "a\x1b[2J/b\x07", "x"),
    ("chat", "--name", "\x1b[2J"),
    ("chat", "-r", "a\u202e"),
    ("sessions", "show", "\x1b[2J"),
    ("sessions", "list", "--dir", "\x08\x08"),
    ("config", "set", "\x1b[2J", "\x07"),
)


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused_is_named_without_a_control_character(cli: CliRunner, words: tuple[str, ...]) -> None:
    lay_out(cli)
    ran = cli.llm(*words, decode_keys="hello\n")
    assert ran.out + ran.err
    assert not OBEYED.findall(ran.out + ran.err)


def lay_out(cli: CliRunner) -> str:
    """Write hostile session files, a configuration and a name."""
    cli.runs.mkdir()
    text = HOSTILE.replace("\0", "").replace("/", "")
    data = {
        "model": text,
        "system": text,
        "turns": [{"messages": [{"role": text, "content": text}]}],
        "meta": {"title": text, "tags": [text], text: text},
    }
    for name in ("talk.json", f"a{text[:60]}.json"):
        (cli.runs / name).write_text(json.dumps(data))
    config = cli.home / ".config" / "llm" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"{toml(text)} = 1\n[aliases]\n{toml(text)} = {toml(text)}\n")
    return text


@pytest.mark.parametrize("answer", ANSWERS_OF_TERMINALS)
def test_what_a_terminal_answers_is_no_draft(answer: str) -> None:
    assert decode_keys(f"one {answer}two".encode()) == "one two"


def test_what_a_terminal_answers_during_a_reply_is_not_sent(cli: CliRunner, slow: SlowServer) -> None:
    with shell(cli, "chat", "-m", "openai/20-words", "--name", "talk", **slow.environ) as terminal:
        terminal.send("go on" + ENTER)
        terminal.wait_for("word2")
        for answer in ANSWERS_OF_TERMINALS:
            terminal.send(answer)
        terminal.send("\x1b[200~:exit\n\x1b[201~")
        terminal.wait_until(lambda screen: screen.count("You:") == 2)
        terminal.wait_for("You: :exit")
        assert len(cli.said("talk")) == 1 and terminal.process.poll() is None
        terminal.send(ENTER)
        assert terminal.ends() == 0
