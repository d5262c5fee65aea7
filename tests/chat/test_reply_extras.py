"""Extras of a reply (citations, images, reasoning): from the server to the screen, the file and the next request."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.cli_runner import CliRunner
from tests.providers.loopback import Answer, Server, serving, sse, stream
from tests.providers.recorded import REPLIES
from tests.providers.test_event_reader import chunk

PNG = b"\x89PNG picture"
DRAWN = sse(
    {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "Here it is."},
                        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}},
                    ]
                },
                "finishReason": "STOP",
            }
        ]
    }
)
SEARCHED = sse(
    chunk({"content": "Ruby is a language.[1][2]"}),
    chunk(
        {},
        "stop",
        citations=["https://a.example", "https://b.example"],
        search_results=[{"title": "A \x1b[31mred", "url": "https://a.example"}],
    ),
    "[DONE]",
)


def gemini(server: Server) -> dict[str, str]:
    return {"GOOGLE_GEMINI_BASE_URL": server.url, "GEMINI_API_KEY": "test-key-0123456789", "LLM_MAX_RETRIES": "0"}


def openai(server: Server) -> dict[str, str]:
    return {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test-0123456789", "LLM_MAX_RETRIES": "0"}


def saved(cli: CliRunner, name: str = "talk") -> dict[str, Any]:
    data: dict[str, Any] = json.loads((cli.cwd / "runs" / f"{name}.json").read_bytes())
    return data


def talk(cli: CliRunner, model: str, *lines: str, environ: dict[str, str], resume: bool = False) -> tuple[str, str]:
    words = ("chat", "-m", model, *(("-r", "talk") if resume else ("--name", "talk")))
    ran = cli.llm(*words, typed="".join(f"{line}\n" for line in lines), **environ)
    assert ran.code == 0, ran.err
    return ran.out, ran.err


def test_sources_stand_below_the_reply_numbered_as_the_text_names_them(cli: CliRunner) -> None:
    with serving(stream(SEARCHED)) as server:
        out, _ = talk(cli, "openai/sonar", "hi", environ=openai(server))
        ran = cli.llm("chat", "-m", "openai/sonar", "--json", "--no-save", typed="hi\n", **openai(server))
    assert out.startswith("Ruby is a language.[1][2]\n\n[1] A ")
    assert out.endswith(" https://a.example\n[2] https://b.example\n")
    assert "\x1b" not in out
    [turn] = saved(cli)["turns"]
    assert turn["messages"][1]["content"] == "Ruby is a language.[1][2]"
    assert [one["url"] for one in turn["citations"]] == ["https://a.example", "https://b.example"]
    assert [one["url"] for one in ran.events[1]["citations"]] == ["https://a.example", "https://b.example"]


def test_a_picture_is_saved_beside_the_session_and_named(cli: CliRunner) -> None:
    with serving(stream(DRAWN)) as server:
        _, err = talk(cli, "gemini/draw", "draw", "again", environ=gemini(server))
    runs = cli.cwd / "runs"
    assert sorted(path.name for path in runs.iterdir() if path.suffix != ".json") == [
        "talk-picture-1.png",
        "talk-picture-2.png",
    ]
    assert (runs / "talk-picture-1.png").read_bytes() == PNG
    assert (runs / "talk-picture-1.png").stat().st_mode & 0o777 == 0o600
    assert "talk-picture-1.png" in err
    assert [turn["pictures"] for turn in saved(cli)["turns"]] == [["talk-picture-1.png"], ["talk-picture-2.png"]]
    assert 'picture "talk-picture-2.png"' in cli.llm("sessions", "export", "md", "--session", "talk").out


def test_a_picture_in_a_conversation_that_is_not_saved_reaches_no_file(cli: CliRunner) -> None:
    with serving(stream(DRAWN)) as server:
        ran = cli.llm("chat", "-m", "gemini/draw", "--no-save", typed="draw\n", **gemini(server))
    assert (ran.code, ran.out) == (0, "Here it is.\n")
    assert "was left out" in ran.err
    assert not [path for path in cli.cwd.rglob("*") if path.suffix == ".png"]


def test_a_picture_that_cannot_be_saved_costs_no_word(cli: CliRunner) -> None:
    (cli.cwd / "runs").mkdir()
    for number in (1, 2):
        (cli.cwd / "runs" / f"talk-picture-{number}.png").write_bytes(b"mine")
    with serving(stream(DRAWN)) as server:
        talk(cli, "gemini/draw", "draw", environ=gemini(server))
    assert (cli.cwd / "runs" / "talk-picture-1.png").read_bytes() == b"mine"
    assert (cli.cwd / "runs" / "talk-picture-3.png").read_bytes() == PNG


def test_encrypted_reasoning_is_saved_and_goes_back_to_the_same_model_only(cli: CliRunner) -> None:
    answer: Answer = stream(REPLIES["responses"][1])
    with serving(answer) as server:
        environ = openai(server)
        talk(cli, "openai/gpt-5", "one", "two", environ=environ)
        talk(cli, "openai/gpt-5", "three", environ=environ, resume=True)
        talk(cli, "openai/gpt-5-mini", "four", environ=environ, resume=True)
    sent = [[item.get("type") == "reasoning" for item in seen.body["input"]].count(True) for seen in server.seen]
    assert sent == [0, 1, 2, 0]
    assert all(seen.body["store"] is False for seen in server.seen)
    data = saved(cli)["turns"][0]["provider_data"]
    assert (data["provider"], data["model"]) == ("openai", "gpt-5")
    assert data["items"][0]["encrypted_content"] == "gAAA="


def test_opaque_data_of_another_form_in_a_file_is_ignored(cli: CliRunner) -> None:
    (cli.cwd / "runs").mkdir()
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    odd: list[object] = [
        "x",
        {"provider": 1},
        {"provider": "openai", "model": "gpt-5", "items": ["x", {"a": 1}]},
        [],
        7,
    ]
    turns = [{"messages": messages, "provider_data": one, "citations": one, "pictures": one} for one in odd]
    (cli.cwd / "runs" / "talk.json").write_text(json.dumps({"model": "openai/gpt-5", "turns": turns, "meta": {}}))
    with serving(stream(REPLIES["responses"][1])) as server:
        talk(cli, "openai/gpt-5", "go on", environ=openai(server), resume=True)
    assert [item for item in server.seen[0].body["input"] if "role" not in item] == [{"a": 1}]
    assert [turn.get("provider_data") for turn in saved(cli)["turns"]][: len(odd)] == odd
