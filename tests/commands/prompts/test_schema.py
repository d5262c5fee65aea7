"""`llm ask --schema`: what is printed fits the schema, everything else is an exit code and stderr."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.chat.schema import json_of, misfit, short_form
from llmrepl.errors import UsageError
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Answer, serving, sse, stream

ECHO = ("ask", "-m", "offline/echo")
GOOD = '{"name": "Ann", "age": 3}'


def reply(text: str) -> Answer:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choice = {"delta": {"content": text}, "finish_reason": "stop"}
    return stream(sse({"choices": [choice], "usage": usage}, "[DONE]"))


def test_a_reply_that_fits_is_printed_as_it_is(cli: CliRunner) -> None:
    (cli.cwd / "s.json").write_text(json.dumps(short_form("name, age int")))
    for given_schema in ("name, age int", json.dumps(short_form("name, age int")), "s.json"):
        ran = cli.llm(*ECHO, "--schema", given_schema, GOOD)
        assert (ran.code, ran.out, ran.err) == (0, GOOD + "\n", "")
    assert cli.llm(*ECHO, "--schema", "name, age int", f"```json\n{GOOD}\n```").out == GOOD + "\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"name": "Ann"}', "'age' is a required property"),
        ('{"name": "Ann", "age": "three"}', "'three' is not of type 'integer' at $.age"),
        ("Ann is three.", "it is not JSON"),
        ('{"name": "Ann", "age": NaN}', "it is not JSON"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_a_reply_that_does_not_fit_is_exit_7_and_not_on_stdout(cli: CliRunner, text: str, why: str) -> None:
    ran = cli.llm(*ECHO, "--schema", "name, age int", typed=text)
    assert (ran.code, ran.out) == (7, "")
    assert f"The reply does not fit the schema: {why}" in ran.err and text[:15] in ran.err
    ran = cli.llm(*ECHO, "--json", "--schema", "name, age int", typed=text)
    assert ran.code == 7 and set(ran.events[0]) == {"question", "error"}
    assert (ran.events[0]["error"]["code"], ran.events[0]["error"]["reason"]) == (7, "does_not_fit")


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ('{"type": "objekt"}', "That is no JSON Schema at $.type"),
        ('{"type": ', "is not JSON"),
        ("gone.json", "There is no file gone.json"),
        ("name, age integr", "'integr' is not a type"),
        ("a b c d", "is no field"),
        ("a, a", "named twice"),
        (" , ", "has no fields"),
        ('{"$ref": "https://example.com/schema"}', "which it does not contain"),
        ('{"$ref": "#/$defs/gone"}', "which it does not contain"),
        ('{"$ref": "#"}', "without end"),
    ],
)
def test_what_is_no_schema_is_refused_before_anything_is_sent(cli: CliRunner, schema: str, what: str) -> None:
    with serving(reply(GOOD)) as server:
        environ = {"TOGETHER_BASE_URL": f"{server.url}/v1", "TOGETHER_API_KEY": KEY}
        ran = cli.llm("ask", "-m", "together/m", "--schema", schema, "who?", **environ)
    assert (ran.code, ran.out) == (2, "") and what in ran.err and not server.seen


def test_retry_needs_a_schema(cli: CliRunner) -> None:
    assert cli.llm(*ECHO, "--schema-retry", "who?").code == 2


@pytest.mark.parametrize("more", [(), ("--name", "talk")])
def test_with_retry_the_model_is_asked_once_more_with_the_complaint(cli: CliRunner, more: tuple[str, ...]) -> None:
    with serving(reply('{"name": "Ann"}'), reply(GOOD)) as server:
        environ = {"TOGETHER_BASE_URL": f"{server.url}/v1", "TOGETHER_API_KEY": KEY}
        words = ("ask", "-m", "together/m", "--json", "--schema", "name, age int", "--schema-retry", *more, "who?")
        ran = cli.llm(*words, **environ)
    assert ran.code == 0 and len(server.seen) == 2
    sent = server.seen[1].body["messages"]
    assert [message["content"] for message in sent[:2]] == ["who?", '{"name": "Ann"}']
    assert "'age' is a required property" in sent[2]["content"] and "response_format" in server.seen[1].body
    [event] = ran.events
    assert (event["question"], event["response"], event["usage"]["total_tokens"]) == ("who?", GOOD, 30)
    assert len(cli.said("talk") if more else []) == (2 if more else 0)
    rows = json.loads(cli.llm("usage", "--json").out)
    assert "30" in json.dumps(rows)


def test_without_success_the_second_reply_ends_it(cli: CliRunner) -> None:
    with serving(reply("no")) as server:
        environ = {"TOGETHER_BASE_URL": f"{server.url}/v1", "TOGETHER_API_KEY": KEY}
        ran = cli.llm("ask", "-m", "together/m", "--schema", "name", "--schema-retry", "who?", **environ)
    assert (ran.code, ran.out, len(server.seen)) == (7, "", 2)


def test_the_short_form() -> None:
    schema = short_form("name: full name, tags list, scores list int, ok bool, ratio float")
    assert schema["properties"] == {
        "name": {"type": "string", "description": "full name"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "scores": {"type": "array", "items": {"type": "integer"}},
        "ok": {"type": "boolean"},
        "ratio": {"type": "number"},
    }
    assert list(short_form("name: first, last\nage int")["properties"]) == ["name", "age"]


@given(st.text())
def test_any_text_is_a_short_form_or_refused(text: str) -> None:
    try:
        assert short_form(text)["required"]
    except UsageError as refused:
        assert refused.hint


@given(st.text())
def test_any_reply_is_judged(text: str) -> None:
    assert isinstance(misfit(text, short_form("name")), str) and isinstance(json_of(text), str)
