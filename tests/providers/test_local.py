"""Model files: names, invalid files, and with LLMREPL_GGUF=FILE a real model in llama.cpp."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from llmrepl.errors import UsageError
from llmrepl.providers.base import Finish, Loading, Notice, Options, Request, TextDelta
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.http_provider import retries
from llmrepl.providers.local.model_file import check_file, context_size, locate
from llmrepl.providers.local.provider import LocalProvider
from llmrepl.providers.transport.http import Network
from llmrepl.types import Message, Usage
from tests.cli_runner import CliRunner

MODEL = os.environ.get("LLMREPL_GGUF", "")
needs_model = pytest.mark.skipif(
    not MODEL and not os.environ.get("LLMREPL_CI"), reason="LLMREPL_GGUF names no model file"
)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def header(*pairs: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)


def number(key: bytes, value: int) -> bytes:
    return text(key) + struct.pack("<II", 4, value)


def test_where_a_name_points() -> None:
    cwd, home = Path("/work dir"), Path("/home/ann")
    assert locate("m.gguf", cwd, home) == Path("/work dir/m.gguf")
    assert locate("~/my models/m.gguf", cwd, home) == Path("/home/ann/my models/m.gguf")
    assert locate("/srv/m.gguf", cwd, home) == Path("/srv/m.gguf")


def test_the_context_of_a_model_file(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    name = text(b"general.name") + struct.pack("<I", 8) + text(b"llama")
    tags = text(b"general.tags") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"b")
    for trained, expected in ((2048, 2048), (131072, 16384)):
        file.write_bytes(header(name, tags, number(b"llama.context_length", trained)))
        assert context_size(file, {}) == expected
    assert context_size(file, {"LLAMA_ARG_CTX_SIZE": "32768"}) == 32768
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert context_size(file, {}) is None, size


def test_files_that_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    (tmp_path / "empty.gguf").write_text("")
    for name, said in (
        ("text.gguf", "is not a GGUF model file."),
        ("empty.gguf", "is not a GGUF model file."),
        ("none.gguf", "There is no model file"),
        (".", "is a directory"),
        ("text.gguf/x", "Cannot read the model file"),
    ):
        with pytest.raises(UsageError, match=said):
            check_file(tmp_path / name)


def test_a_bad_file_is_one_sentence_and_exit_2(cli: CliRunner) -> None:
    (cli.cwd / "my model.gguf").write_text("hello")
    ran = cli.llm("ask", "-m", "local/my model.gguf", "hi")
    assert (ran.code, ran.out) == (2, "")
    assert "is not a GGUF model file." in ran.err and "Traceback" not in ran.err


def test_tab_completes_model_files(cli: CliRunner) -> None:
    (cli.cwd / "models").mkdir()
    for name in ("models/a.gguf", "models/b.txt", "c.GGUF"):
        (cli.cwd / name).write_text("")
    assert cli.llm("--complete", "models", "local/").out.split()[0] == "local/c.GGUF"
    assert "local/models/" in cli.llm("--complete", "models", "local/").out
    assert cli.llm("--complete", "models", "local/models/").out.split("\t")[0] == "local/models/a.gguf"


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    made = LocalProvider(Network(), retries(0), {**os.environ, "LLAMA_ARG_CTX_SIZE": "512"})
    yield made
    made.close()


def request(content: str, **options: object) -> Request:
    return Request(MODEL, [Message("user", content)], options=Options(max_tokens=12, **options))  # type: ignore[arg-type]


def slots(provider: LocalProvider) -> list[dict[str, object]]:
    assert provider.server is not None
    asked = urllib.request.Request(
        f"{provider.server.address}/slots", headers={"authorization": f"Bearer {provider.server.key}"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        found: list[dict[str, object]] = json.load(answer)
    return found


@needs_model
def test_a_reply_with_usage_and_cached_tokens(provider: LocalProvider) -> None:
    provider.close()
    first = list(provider.stream(request("Say hello.")))
    assert isinstance(first[0], Loading)
    assert sum(isinstance(event, TextDelta) for event in first) > 1
    assert isinstance(first[-1], Finish)
    again = list(provider.stream(request("Say hello.")))
    assert not any(isinstance(event, Loading) for event in again)
    usage = next(event for event in again if isinstance(event, Usage))
    assert usage.prompt_tokens > 10 and 0 < usage.completion_tokens <= 12
    assert usage.cached_tokens and usage.cached_tokens < usage.prompt_tokens


@needs_model
def test_cancel_frees_the_slot_within_a_second(provider: LocalProvider) -> None:
    events = iter(provider.stream(Request(MODEL, [Message("user", "Count to a thousand.")])))
    next(event for event in events if isinstance(event, TextDelta))
    assert slots(provider)[0]["is_processing"]
    events.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 1.0
    while slots(provider)[0]["is_processing"]:
        assert time.monotonic() < until
        time.sleep(0.05)


@needs_model
def test_context_overflow_is_said_with_tokens(provider: LocalProvider) -> None:
    with pytest.raises(ProviderError) as raised:
        list(provider.stream(request("word " * 2000)))
    assert "512" in str(raised.value) and "tokens" in str(raised.value)


@needs_model
def test_effort_is_refused_politely(provider: LocalProvider) -> None:
    events = list(provider.stream(request("Say hello.", effort="high")))
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "Model files take no effort. It was left out."
    ]
    assert isinstance(events[-1], Finish)


@needs_model
def test_only_the_shell_may_ask(provider: LocalProvider) -> None:
    list(provider.stream(request("Say hello.")))
    assert provider.server and provider.server.address.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{provider.server.address}/v1/models", timeout=10)


@needs_model
def test_a_process_that_died_is_started_again(provider: LocalProvider) -> None:
    list(provider.stream(request("Say hello.")))
    assert provider.server and provider.server.pid
    os.kill(provider.server.pid, 9)
    time.sleep(0.2)
    events = list(provider.stream(request("Say hello.")))
    assert isinstance(events[0], Loading) and isinstance(events[-1], Finish)


@needs_model
def test_leaving_while_a_model_loads_ends_the_process(provider: LocalProvider) -> None:
    provider.close()
    events = iter(provider.stream(request("Say hello.")))
    next(events)
    assert provider.server and (pid := provider.server.pid)
    events.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{pid}").exists()


@needs_model
def test_a_file_that_is_cut_off(cli: CliRunner) -> None:
    with open(MODEL, "rb") as file:
        (cli.cwd / "cut.gguf").write_bytes(file.read(4_000_000))
    ran = cli.process("ask", "-m", "local/cut.gguf", "hi")
    assert ran.code == 2 and "Cannot load cut.gguf: " in ran.err and "Traceback" not in ran.err


@needs_model
@pytest.mark.parametrize("loaded", [False, True])
def test_the_process_dies_with_a_shell_that_is_killed(loaded: bool) -> None:
    program = f"""
import os
from pathlib import Path
from llmrepl.providers.local.process import ModelServer
server = ModelServer(Path({MODEL!r}), os.environ)
for seconds in server.load():
    if seconds == 0:
        print(server.pid, flush=True)
    elif not {loaded}:
        os.kill(os.getpid(), 9)
print("ready", flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ("ready" in done.stdout) == loaded
    pid = int(done.stdout.split()[0])
    until = time.monotonic() + 2
    while alive(pid):
        assert time.monotonic() < until
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


@needs_model
def test_a_journey(cli: CliRunner) -> None:
    (cli.cwd / "my models").mkdir()
    (cli.cwd / "my models/smol.gguf").symlink_to(MODEL)
    lines = b":set max_tokens 8\nSay hello.\n:context\nAnd again.\n:save hello\n"
    ran = cli.process("chat", "-m", "local/my models/smol.gguf", typed=lines)
    assert ran.code == 0, ran.err
    assert ran.err.count("loading smol.gguf") == 1
    session = cli.session("hello")
    assert session["model"] == "local/my models/smol.gguf"
    assert len(session["turns"]) == 2
    assert session["turns"][1]["usage"]["cached_tokens"] > 0
    assert session["turns"][1]["cost_estimate"] == 0
