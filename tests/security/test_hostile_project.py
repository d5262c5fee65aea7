"""A hostile working directory: the installed program runs in it and discloses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli_runner import CliRunner
from tests.security.attack import KEY, Evil, evil_server, installed, tree

MODULES = ("httpx", "json", "sitecustomize", "usercustomize", "rich", "tomllib", "llmrepl", "pydantic", "sqlite3")
COMMANDS = {
    "chat": ("chat", "-m", "offline/echo"),
    "ask": ("ask", "-m", "offline/echo", "hello"),
    "config": ("config", "list"),
    "sessions": ("sessions", "list"),
    "keys": ("keys", "list"),
}
REDIRECTS = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OLLAMA_HOST")
REACHES = (
    "SSL_CERT_FILE=evil.pem",
    "PYTHONPATH=.",
    "PYTHONSTARTUP=json.py",
    "LD_PRELOAD=./evil.so",
    "EDITOR=./evil",
    "PAGER=./evil",
    "SHELL=./evil",
    "LLM_ALLOW_HTTP=1",
    "LLM_SESSION_BUDGET=1000",
    "LLM_DAILY_BUDGET=1000",
    "LLM_MODEL=openai/dear",
    "LLM_CONFIG_DIR=.",
    "XDG_CONFIG_HOME=.",
    "HOME=.",
)


@dataclass
class Project:
    """A hostile project, a user in it with a key and a budget, and the server that wants the key."""

    interaction: CliRunner
    evil: Evil
    ran: Path

    def put(self, name: str, text: str) -> None:
        """Write a file that the program would read if it belonged to the user."""
        file = self.interaction.cwd / name
        file.write_text(text)
        file.chmod(0o600)


@pytest.fixture
def project(cli: CliRunner, tmp_path: Path) -> Iterator[Project]:
    with evil_server() as evil:
        made = Project(cli, evil, tmp_path / "ran")
        for module in MODULES:
            made.put(f"{module}.py", f"open({str(made.ran)!r}, 'w')\n")
        program = f"#!/bin/sh\ntouch {made.ran}\n"
        for name in ("evil", "less", "vi", "stty", "xclip"):
            made.put(name, program)
            (cli.cwd / name).chmod(0o755)
        made.put("pyproject.toml", "[tool.llmrepl]\nbase_url = 'x'\n[project.scripts]\nllm = 'evil:run'\n")
        cli.environ["OPENAI_API_KEY"] = KEY
        yield made


@pytest.mark.parametrize("command", COMMANDS)
def test_no_code_or_address_in_the_directory_is_used(project: Project, command: str) -> None:
    project.put(".env", "\n".join([*(f"{name}={project.evil.url}" for name in REDIRECTS), *REACHES]))
    project.put(
        ".llm.toml",
        f'base_url = "{project.evil.url}"\n[providers.openai]\napi_key_cmd = "./evil"\n'
        f'base_url = "{project.evil.url}"\n',
    )
    before = tree(project.interaction.cwd)
    ran = installed(project.interaction, *COMMANDS[command], typed="hello\n" if command == "chat" else "")
    assert ran.code == 0, ran.err
    assert not project.ran.exists()
    assert not project.evil.visited
    assert KEY not in ran.out + ran.err
    after = tree(project.interaction.cwd)
    assert {name: after[name] for name in before} == before
    assert all(name == "runs" or name.startswith("runs/session_") for name in after.keys() - before.keys())


@pytest.mark.parametrize("file", [".env", ".llm.toml"])
def test_a_project_cannot_send_the_key_to_an_address_of_its_own(project: Project, file: str) -> None:
    url = project.evil.url
    project.put(file, f"OPENAI_BASE_URL={url}" if file == ".env" else f'[providers.openai]\nbase_url = "{url}"')
    ran = installed(project.interaction, "ask", "-m", "openai/gpt-4o-mini", "hello")
    assert (ran.code, ran.out) == (2, "")
    assert (
        str(project.interaction.cwd / file) in ran.err
        and "base_url" in ran.err.lower()
        and "nothing was sent" in ran.err
    )
    assert KEY not in ran.err
    listed = project.interaction.llm("models", "list", "--provider", "openai", "--refresh")
    assert KEY not in listed.out + listed.err
    assert not project.evil.visited


def test_no_variable_of_the_env_file_changes_what_a_request_does(cli: CliRunner) -> None:
    """The user's own server is down; no other server may be contacted instead."""
    config = cli.home / ".config" / "llm" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('max_retries = 0\n[providers.mine]\nbase_url = "https://nowhere.invalid/v1"\n')
    with evil_server() as evil:
        file = cli.cwd / ".env"
        file.write_text("\n".join([*(f"{name}={evil.url}" for name in (*REDIRECTS, "https_proxy")), *REACHES]))
        file.chmod(0o600)
        ran = cli.llm("ask", "-m", "mine/model", "hello", MINE_API_KEY=KEY)
        assert not evil.visited
    assert (ran.code, ran.out) == (1, "")
    assert "nowhere.invalid" in ran.err


def test_parents_are_not_looked_into(cli: CliRunner) -> None:
    for name, text in ((".env", f"OPENAI_API_KEY={KEY}\n"), (".llm.toml", 'default_model = "openai/dear"\n')):
        (cli.cwd / name).write_text(text)
        (cli.cwd / name).chmod(0o600)
    assert ".env" in cli.llm("keys", "list").out and "dear" in cli.llm("config", "list").out
    cli.cwd = cli.cwd / "below"
    cli.cwd.mkdir()
    assert ".env" not in cli.llm("keys", "list").out and "dear" not in cli.llm("config", "list").out


def test_nothing_is_read_or_written_through_a_link(project: Project, tmp_path: Path) -> None:
    """The program's own file names are links out of the project, to files or to nothing."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text(f"OPENAI_API_KEY={KEY}\n")
    (outside / "victim").chmod(0o600)
    runs = project.interaction.runs
    runs.mkdir()
    links = {
        ".env": "victim",
        ".llm.toml": "victim",
        "runs/talk.json": "victim",
        "runs/.talk.journal": "victim",
        "runs/new.json": "created",
        "runs/.new.journal": "created",
        "runs/archive": "",
        "runs/.trash": "",
        "notes.md": "victim",
        "fresh.md": "created",
    }
    for name, target in links.items():
        (project.interaction.cwd / name).symlink_to(outside / target)
    before = tree(outside)
    typed = (
        "hello\n:save talk\n:save talk --force\n:save new --force\n:load talk\n:load new\n:export md notes.md\n"
        ":export md notes.md --force\n:export md fresh.md --force\n:title x\n"
    )
    project.interaction.llm("chat", "-m", "offline/echo", "--keep-going", typed=typed)
    project.interaction.llm("chat", "-m", "offline/echo", "--name", "new", typed=typed)
    for command in ("delete talk", "recover talk", "validate talk", "rename talk moved", "archive --older-than 0d"):
        ran = project.interaction.llm("sessions", *command.split())
        assert KEY not in ran.out + ran.err
    assert tree(outside) == before
    assert all((project.interaction.cwd / name).is_symlink() for name in links)
