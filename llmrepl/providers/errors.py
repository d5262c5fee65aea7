"""Maps HTTP and network errors to user messages and retry decisions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls
from llmrepl.providers.error_words import NO_MODEL, TOO_LONG, is_too_long, status_in_words, too_long

LONGEST_WAIT = 60.0
"""Maximum wait in seconds that a server may request before a retry."""

KEPT = "what came is kept; :retry asks again"
_MESSAGE_LIMIT = 600
_DEPTH = 8


class ProviderError(LLMError):
    """A request that failed. `retry`: it may be sent again if no text arrived.

    `after` is the wait in seconds requested by the server; `status` and `payload` are its response, if any.
    `no_model`: the server does not have the model, or no longer.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        retry: bool = False,
        after: float | None = None,
        may_be_billed: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.retry = retry
        self.after = after
        self.may_be_billed = may_be_billed
        self.status = 0
        self.payload: object = None
        self.no_model = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests are sent and with which key, as needed for error messages.

    `key_origin` names the variable or file of the key.
    """

    vendor: str
    base_url: str
    key: str | None = field(default=None, repr=False)
    key_origin: str = ""

    def said(self, payload: object) -> str:
        """Return the message in an error object of any shape; empty if there is none.

        It is one short line, with control characters escaped and without the key.
        """
        return escape_controls(self.hide(" ".join(_message(payload).split()))[:_MESSAGE_LIMIT])

    def hide(self, text: str) -> str:
        """Remove the key from a text."""
        return text.replace(self.key, "[key]") if self.key else text


class ErrorRule(NamedTuple):
    """A row of the status table; the texts may use what `_failure` fills in."""

    retry: bool
    message: str
    hint: str


_LATER = ":retry tries again, :model chooses another model"
_CHECK = "change the prompt or the options"
RULES = {
    400: ErrorRule(False, "the server refused the request (400)", _CHECK),
    401: ErrorRule(False, "{vendor} rejected {api_key} (401)", "{replace_key}"),
    402: ErrorRule(False, "{vendor} says that there is no credit left (402)", "add credit there, or use another model"),
    403: ErrorRule(False, "{vendor} does not allow this with {key} (403)", "check what that key may do"),
    404: ErrorRule(False, "{vendor} has no model '{model}' at {base_url} (404)", "check the name, and base_url"),
    408: ErrorRule(True, "{vendor} gave up waiting for the request (408)", _LATER),
    409: ErrorRule(True, "{vendor} reports a conflict (409)", _LATER),
    413: ErrorRule(False, "the request is too large for {vendor} (413)", "':compact', ':undo' or ':new' makes room"),
    422: ErrorRule(False, "the server refused the request (422)", _CHECK),
    451: ErrorRule(False, "the filter of {vendor} stopped the request", "ask in other words"),
    425: ErrorRule(True, "{vendor} is not ready for the request (425)", _LATER),
    429: ErrorRule(True, "{vendor} is rate limiting you (429)", _LATER),
    500: ErrorRule(True, "{vendor} failed with an internal error (500)", _LATER),
    502: ErrorRule(True, "{vendor} cannot be reached behind its gateway (502)", _LATER),
    503: ErrorRule(True, "{vendor} is not available (503)", _LATER),
    504: ErrorRule(True, "{vendor} did not answer its gateway in time (504)", _LATER),
    498: ErrorRule(True, "{vendor} has no capacity left for now (498)", _LATER),
    529: ErrorRule(True, "{vendor} is overloaded (529)", _LATER),
}
_OWN = ErrorRule(True, "{vendor} failed with an internal error ({status})", _LATER)
_OTHER = ErrorRule(False, "{vendor} answered with status {status}", "check base_url, or try again later")
_QUOTA = ErrorRule(False, "{vendor} says that the quota of {key} is used up (429)", "check plan and billing there")

STATUS_OF = {
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "RESOURCE_EXHAUSTED": 429,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "UNAUTHENTICATED": 401,
    "API_KEY_INVALID": 401,
    "permission_error": 403,
    "PERMISSION_DENIED": 403,
    "billing_error": 402,
    "insufficient_quota": 429,
    "not_found_error": 404,
    "model_not_found": 404,
    "NOT_FOUND": 404,
    "request_too_large": 413,
    "invalid_request_error": 400,
    "INVALID_ARGUMENT": 400,
    "api_error": 500,
    "server_error": 500,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "timeout_error": 504,
}
"""Providers' error names and the status each corresponds to."""


def error_from_response(
    endpoint: Endpoint, model: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> ProviderError:
    """Create the error for a response other than 200; a Retry-After date is relative to `now` (with offset)."""
    if 300 <= status < 400:
        where = endpoint.hide(headers.get("location", ""))[:200]
        return ProviderError(
            f"{endpoint.vendor} redirects to {where or 'nowhere'} ({status}), which is not followed",
            "if you trust that address, set it as base_url",
        )
    payload = _json(body)
    error = _failure(endpoint, model, status, payload, _wait(headers, payload, now))
    error.status, error.payload = status, payload or body.decode("utf-8", "replace")
    if headers.get("x-should-retry") == "false":
        error.retry = False
    return error


def error_from_event(endpoint: Endpoint, model: str, payload: object, *, begun: bool) -> ProviderError:
    """Create the error for an error object inside a stream; `begun`: text came before it."""
    message = endpoint.said(payload) or "it gave no reason"
    if begun:
        return ProviderError(f"{endpoint.vendor} broke the reply off: {message}", KEPT)
    status = status_in_words(_status(payload), _names(payload), message)
    if status is None:
        return ProviderError(f"{endpoint.vendor} reports an error: {message}", _LATER)
    return _failure(endpoint, model, status, payload, _wait({}, payload, datetime.now(UTC)))


_EVENTS = ("choices", "candidates", "usageMetadata", "promptFeedback", "delta", "done", "response", "usage")
_SENTENCES = ("message", "detail", "msg", "error_msg", "errorMessage")


def error_in(data: Mapping[str, Any], name: str = "") -> object:
    """Return the error object in an event of the type `name` or in a response, None if it is none.

    Most servers use a key `error`. Older vLLM sends `object: error`, FastAPI `detail`, MiniMax `base_resp`, others just
    `message` or `success: false`.
    """
    if data.get("error") or name == "error" or "error" in (data.get("object"), data.get("type")):
        return data
    if data.get("success") is False:
        return data
    status = data.get("base_resp")
    if isinstance(status, dict) and status.get("status_code"):
        return status
    if any(key in data for key in _EVENTS) or "error" not in str(data.get("type", "error")).lower():
        return None
    return data if any(isinstance(data.get(key), str) and data[key] for key in _SENTENCES) else None


def _failure(endpoint: Endpoint, model: str, status: int, payload: object, after: float | None) -> ProviderError:
    names, message = set(_names(payload)), endpoint.said(payload)
    status = status_in_words(status, names, message) or status
    rule = RULES.get(status) or (_OWN if 500 <= status < 600 else _OTHER)
    if status == 429 and "insufficient_quota" in names:
        rule = _QUOTA
    words = {
        "vendor": endpoint.vendor,
        "model": model,
        "base_url": endpoint.base_url,
        "status": status,
        "key": f"the key from {endpoint.key_origin or 'the configuration'}"
        if endpoint.key
        else "a request without a key",
        "api_key": "the API key" if endpoint.key else "a request without an API key",
        "replace_key": _replace_key(endpoint),
    }
    what, then = rule.message.format(**words), rule.hint.format(**words)
    if is_too_long(f"{' '.join(names)} {message}") and status == TOO_LONG:
        what = too_long(message)
    elif message:
        what = f"{what}: {message}"
    if rule.retry and after is not None and after > LONGEST_WAIT:
        return ProviderError(what, f"it asks to wait {_span(after)}")
    error = ProviderError(what, then, retry=rule.retry, after=after)
    error.no_model = status == NO_MODEL
    return error


def _replace_key(endpoint: Endpoint) -> str:
    """Return how to replace a rejected key: a saved one counts only if no variable or command has one."""
    if endpoint.key and not endpoint.key_origin.endswith(".json"):
        return f"Change {endpoint.key_origin or 'the configuration'}, which counts before a saved key"
    return f"llm keys set {endpoint.vendor} replaces it"


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return None if text.startswith("<") else text


def _message(payload: object, depth: int = _DEPTH) -> str:
    """Extract the text of `{"error": {"message"}}`, `{"error": "text"}`, `{"detail"}`, a list of these, or a string."""
    if isinstance(payload, str):
        return payload
    if depth == 0:
        return ""
    if isinstance(payload, list):
        return next((text for item in payload if (text := _message(item, depth - 1))), "")
    if not isinstance(payload, dict):
        return ""
    upstream = payload.get("metadata")
    if isinstance(upstream, dict) and isinstance(upstream.get("raw"), str):
        raw = _json(upstream["raw"].encode("utf-8", "replace"))
        return f"{payload.get('message') or ''}: {_message(raw, depth - 1)}"
    inner = (payload.get(name) for name in ("error", *_SENTENCES, "status_msg", "errors", "base_resp"))
    return next((text for value in inner if (text := _message(value, depth - 1))), "")


def _names(payload: object, depth: int = _DEPTH) -> list[str]:
    """Return the words and numbers by which an error object, or the one inside it, identifies itself."""
    if not isinstance(payload, dict) or depth == 0:
        return []
    found = [
        str(payload[name]) for name in ("code", "type", "status", "reason") if isinstance(payload.get(name), str | int)
    ]
    inner: list[Any] = [payload.get("error")]
    if isinstance(payload.get("details"), list):
        inner += payload["details"][:20]
    return found + [name for value in inner for name in _names(value, depth - 1)]


def lacks_path(error: ProviderError) -> bool:
    """Whether the server does not support the path of a request, rather than the model."""
    names = " ".join(_names(error.payload)).lower()
    return error.status in _NO_PATH and not any(word in names for word in ("model", "deployment"))


_NO_PATH = (404, 405, 501)


def _status(payload: object) -> int | None:
    for name in _names(payload):
        if name.isascii() and name.isdigit() and 400 <= int(name[:4]) < 600:
            return int(name[:4])
        if name in STATUS_OF:
            return STATUS_OF[name]
    return None


def _wait(headers: Mapping[str, str], payload: object, now: datetime) -> float | None:
    """Return the wait in seconds from a header (milliseconds, seconds, a date) or Google's RetryInfo."""
    seconds = _number(headers.get("retry-after-ms", ""), 0.001)
    text = headers.get("retry-after", "")
    if seconds is None:
        seconds = _number(text, 1.0)
    if seconds is None and text:
        try:
            seconds = (parsedate_to_datetime(text).astimezone(UTC) - now).total_seconds()
        except (ValueError, OverflowError):
            seconds = None
    if seconds is None:
        seconds = _number(_retry_delay(payload).removesuffix("s"), 1.0)
    return seconds if seconds is not None and seconds > 0 else None


def _number(text: str, unit: float) -> float | None:
    try:
        value = float(text) * unit
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _retry_delay(payload: object) -> str:
    if not isinstance(payload, dict):
        return ""
    error = payload.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    found = (item.get("retryDelay") for item in details if isinstance(item, dict)) if isinstance(details, list) else ()
    return next((delay for delay in found if isinstance(delay, str)), "")


def _span(seconds: float) -> str:
    """Format a duration: `90 seconds`, `15 minutes`, `3 hours`, `11 days`."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"
