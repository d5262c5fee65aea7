"""JSON Schemas for replies: read what the user gives, and check what the model replies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.system.paths import expand

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

MAX_BYTES = 1 << 20
"""Maximum size of a schema file."""

TYPES: dict[str, dict[str, Any]] = {
    **{name: {"type": "string"} for name in ("str", "string", "text")},
    **{name: {"type": "integer"} for name in ("int", "integer")},
    **{name: {"type": "number"} for name in ("float", "number")},
    **{name: {"type": "boolean"} for name in ("bool", "boolean")},
    "list": {"type": "array", "items": {"type": "string"}},
}
"""Types of the short form."""

_FIELD = re.compile(r"(?P<name>[A-Za-z_][\w-]*)(?:\s+(?P<type>[A-Za-z]+)(?:\s+(?P<of>[A-Za-z]+))?)?")

_HINT = "--schema takes a file, a JSON Schema, or names with types, such as 'name, age int, tags list'"

_FENCE = re.compile(r"```[A-Za-z]*\s*\n(?P<json>.*)\n\s*```", re.DOTALL)


def read_schema(given: str, cwd: Path, home: Path) -> dict[str, Any]:
    """Read a schema: a file, inline JSON, or the short form. Raises UsageError for what is none."""
    text = given.strip()
    if text.startswith("{"):
        return _checked(_parsed(text, "the schema"))
    path = cwd / expand(text, home)
    try:
        if path.is_file():
            return _checked(_parsed(_read(path), escape_name(text)))
    except (OSError, ValueError) as error:  # also a name that no file can have
        if _looks_like_a_path(text):
            raise UsageError(f"{escape_name(text)} cannot be read.", _HINT) from error
    if _looks_like_a_path(text):
        raise UsageError(f"There is no file {escape_name(text)}.", _HINT)
    return _checked(short_form(text))


def _looks_like_a_path(text: str) -> bool:
    return text.endswith(".json") or "/" in text.partition(":")[0]


def _read(path: Path) -> str:
    with open(path, "rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"{escape_name(path.name)} is larger than {MAX_BYTES >> 20} MiB, which no schema is.", _HINT)
    return data.decode("utf-8-sig", "replace")


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{what[0].upper()}{what[1:]} is not JSON: {error.msg} ({place}).", _HINT) from None
    except RecursionError:
        raise UsageError(f"{what[0].upper()}{what[1:]} is nested too deeply.", _HINT) from None


def short_form(text: str) -> dict[str, Any]:
    """Return the schema of `name, age int, tags list, born: date of birth`: an object with these properties.

    Fields are separated by commas or, if the text has several lines, by newlines. A field without a type is text;
    `list` is a list of texts, `list int` one of integers. Raises UsageError.
    """
    properties: dict[str, Any] = {}
    for field in text.split("\n") if "\n" in text else text.split(","):
        head, _, description = (part.strip() for part in field.partition(":"))
        if not head and not description:
            continue
        found = _FIELD.fullmatch(head)
        if found is None:
            raise UsageError(f"'{escape_name(field.strip())[:60]}' is no field of a schema.", _HINT)
        shape = dict(_type(found["type"] or "str"))
        if found["of"]:
            if found["type"] != "list":
                raise UsageError(f"'{escape_name(head)[:60]}' has two types.", _HINT)
            shape["items"] = _type(found["of"])
        if found["name"] in properties:
            raise UsageError(f"'{found['name']}' is named twice in the schema.", _HINT)
        properties[found["name"]] = {**shape, "description": description} if description else shape
    if not properties:
        raise UsageError("The schema has no fields.", _HINT)
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _type(name: str) -> dict[str, Any]:
    if name not in TYPES:
        raise UsageError(f"'{escape_name(name)}' is not a type: use str, int, float, bool or list.", _HINT)
    return TYPES[name]


def _checked(schema: Any) -> dict[str, Any]:
    """Return a schema that replies can be checked against. Raises UsageError."""
    from jsonschema.exceptions import SchemaError

    if not isinstance(schema, dict):
        raise UsageError("The schema is not a JSON object.", _HINT)
    try:
        validator = _validator(schema)
        validator.check_schema(schema)
        _check_references(schema)
        validator.is_valid(None)
    except SchemaError as error:
        where = f" at {error.json_path}" if error.path else ""
        message = f"That is no JSON Schema{where}: {escape_name(error.message)[:200]}."
        raise UsageError(message, _HINT) from None
    except RecursionError:
        raise UsageError("The schema refers to itself without end, or is nested too deeply.", _HINT) from None
    return schema


def _check_references(schema: dict[str, Any]) -> None:
    """Raise UsageError for a `$ref` that leads nowhere, or to another document, which is never fetched."""
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource("", resource).resolver()
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str):
                try:
                    resolver.lookup(reference)
                except (Unresolvable, ValueError):
                    what = f"The schema refers to '{escape_name(reference)[:100]}', which it does not contain."
                    raise UsageError(what, "put it under $defs, and refer to '#/$defs/NAME'") from None
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _validator(schema: dict[str, Any]) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())  # fetches nothing


def json_of(reply: str) -> str:
    """Return the JSON in a reply: all of it, or what a single code fence around it contains."""
    text = reply.strip()
    found = _FENCE.fullmatch(text)
    return found["json"].strip() if found else text


def misfit(reply: str, schema: dict[str, Any]) -> str:
    """Say why a reply does not fit a schema; empty if it fits."""
    try:
        data = json.loads(json_of(reply), parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return f"it is not JSON ({error.msg}, line {error.lineno})"
    except ValueError as error:  # NaN, and integers of thousands of digits
        return f"it is not JSON ({error})"
    except RecursionError:
        return "it is nested too deeply"
    from jsonschema.exceptions import best_match

    try:
        first = best_match(_validator(schema).iter_errors(data))
    except RecursionError:
        return "it is nested too deeply"
    if first is None:
        return ""
    where = f" at {first.json_path}" if first.path else ""
    return f"{_shortened(first.message)}{where}"


def complaint(why: str) -> str:
    """Return the prompt that asks once more."""
    return f"Your reply does not fit the JSON Schema: {why}. Reply again with the corrected JSON only."


def _shortened(message: str) -> str:
    text = escape_name(message)
    return text if len(text) <= 200 else f"{text[:90]} … {text[-90:]}"


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
