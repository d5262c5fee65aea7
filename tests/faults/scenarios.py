"""User actions that change files, each in a prepared directory."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cli_runner import CliRunner

QUESTIONS = ("the first falcon", "the second heron", "the third owl", "the fourth stork")
CHATTING = ("chat", "-m", "offline/echo", "--json")
CONFIG, KEYS = ".config/llm/config.toml", ".config/llm/keys.json"

OLD_CONFIG = '# mine\ndefault_model = "offline/echo"\n'
OLD_KEYS = '{"openai": "sk-old-0123456789abcdef"}\n'


def empty(cli: CliRunner) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Scenario:
    """`llm WORDS` with `typed` piped in, in a directory prepared by `prepare`."""

    name: str
    words: tuple[str, ...]
    typed: str = ""
    prepare: Callable[[CliRunner], None] = empty


def sessions(cli: CliRunner) -> None:
    """Create three sessions, one of them old, and a configuration."""
    cli.runs.mkdir(mode=0o700)
    for number, name in enumerate(("one", "two", "old")):
        turns = [_turn(f"{name} asks {n}", f"{name} answers {n}") for n in range(3)]
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        created = "2020-01-01T10:00:00.000000" if name == "old" else f"2026-01-0{number + 1}T10:00:00.000000"
        session = {
            "model": "offline/echo",
            "system": None,
            "created_at": created,
            "turns": turns,
            "usage_totals": usage,
            "meta": {},
        }
        (cli.runs / f"{name}.json").write_text(json.dumps(session, indent=2))
    _write(cli.home / CONFIG, OLD_CONFIG)
    _write(cli.home / KEYS, OLD_KEYS)


def removed(cli: CliRunner) -> None:
    """Create three sessions, one in the trash, and one compressed in the archive."""
    sessions(cli)
    for folder, name, ending in ((".trash", "two", ""), ("archive", "old", ".gz")):
        (cli.runs / folder).mkdir(mode=0o700)
        source = cli.runs / f"{name}.json"
        data = source.read_bytes()
        (cli.runs / folder / f"{name}.json{ending}").write_bytes(gzip.compress(data, mtime=0) if ending else data)
        source.unlink()


def damaged(cli: CliRunner) -> None:
    """Create a truncated session."""
    sessions(cli)
    path = cli.runs / "one.json"
    path.write_bytes(path.read_bytes()[:-200])


def foreign(cli: CliRunner) -> None:
    """Create two conversations in the formats of other programs."""
    sessions(cli)
    lines = [
        {"messages": [{"role": "user", "content": f"asked {n}"}, {"role": "assistant", "content": f"answered {n}"}]}
        for n in range(2)
    ]
    (cli.cwd / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _turn(question: str, answer: str) -> dict[str, object]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    usage = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    return {"messages": messages, "usage": usage, "latency_ms": 1.0, "finish_reason": "stop"}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(text)
    path.chmod(0o600)


def _script(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


SCENARIOS = (
    Scenario("chat", CHATTING, _script(*QUESTIONS[:2], ":save birds", *QUESTIONS[2:])),
    Scenario("go on", (*CHATTING, "-r", "one"), _script(*QUESTIONS[:2], ":undo", ":retry"), sessions),
    Scenario("fork", (*CHATTING, "-r", "one"), _script(":fork branch --at 2", *QUESTIONS[:2]), sessions),
    Scenario("ask and keep", ("ask", "-m", "offline/echo", "--name", "kept", "--json", QUESTIONS[0]), "", sessions),
    Scenario("rename", ("sessions", "rename", "one", "uno"), "", sessions),
    Scenario("tag", ("sessions", "tag", "one", "+birds", "+sea"), "", sessions),
    Scenario("delete", ("sessions", "delete", "one", "two"), "", sessions),
    Scenario("archive", ("sessions", "archive", "--older-than", "30d"), "", sessions),
    Scenario("archive, compressed", ("sessions", "archive", "--older-than", "30d", "--compress"), "", sessions),
    Scenario("restore from the trash", ("sessions", "restore", "two"), "", removed),
    Scenario("restore from the archive", ("sessions", "restore", "old"), "", removed),
    Scenario("backup", ("sessions", "backup", "copy"), "", removed),
    Scenario("import", ("sessions", "import", "theirs.jsonl"), "", foreign),
    Scenario("recover", ("sessions", "recover", "one"), "", damaged),
    Scenario("export", ("sessions", "export", "--session", "one", "md", "one.md"), "", sessions),
    Scenario("config set", ("config", "set", "default_model", "offline/guide"), "", sessions),
    Scenario("keys set", ("keys", "set", "openai"), "sk-new-0123456789abcdef\n", sessions),
)
