"""A model in the list of an OpenAI-compatible server. The fields beside `id` differ by vendor. Pure.

Sources: the documentation of the list endpoints of OpenAI (`shutdown_date`), OpenRouter (`expiration_date`,
`architecture`, `top_provider`, `reasoning`), Mistral (`capabilities`, `deprecation`), Groq (`active`), Together
(`type`), Fireworks and Moonshot (`supports_…`), Azure (`lifecycle_status`, `deprecation.inference`), Cohere
(`endpoints`, `is_deprecated`), Hugging Face (`providers`), DeepInfra (`metadata`), GitHub Models (`limits`), vLLM,
LM Studio and llama.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from llmrepl.providers.protocols.base import ModelInfo, dicts, price, texts, whole_number

_WINDOW = """loaded_context_length context_length context_window max_model_len max_context_length max_input_tokens
    context_size max_context_window_tokens input_token_limit inputTokenLimit max_sequence_length""".split()
_REPLY = """max_completion_tokens max_output_tokens max_output_length max_tokens output_token_limit
    outputTokenLimit""".split()
_ENDS = """shutdown_date shutdown_at retires_at retirement_date retirement_time retired_at expiration_date expires_at
    sunset_date sunset_at end_of_life eol_date deprecation_date""".split()
_STAGES = ("lifecycle", "lifecycle_status", "stage", "model_stage", "status", "state")
_DEPRECATED = frozenset(("deprecated", "deprecating", "legacy", "sunset", "sunsetting"))
_RETIRED = frozenset(
    ("retired", "shutdown", "removed", "decommissioned", "discontinued", "disabled", "unavailable", "failed")
)
_CHAT = frozenset(
    """chat llm vlm language text code completion completions chat_completion chat_completions multimodal
    text_generation language_model conversational image_text_to_text""".split()
)
_OTHER = frozenset(
    """embedding embeddings feature_extraction rerank reranker classification classifier moderation image images
    text_to_image image_generation audio speech tts text_to_speech stt transcription transcribe transcriptions
    speech_to_text automatic_speech_recognition video text_to_video music ocr""".split()
)
_SEES = frozenset(("vision", "image", "image_input", "images", "multimodal", "supports_vision", "vlm"))
_EFFORT_NAMES = {"none": "off", "false": "off", "disabled": "off", "xhigh": "max", "true": "on"}
_EFFORTS = ("off", "minimal", "low", "medium", "high", "max")
_MOST_TOKENS = 1_000_000_000
_PER_TOKEN = 0.001
"""USD above which a price is per million tokens, not per token."""


def model_of(row: Mapping[str, Any]) -> ModelInfo:
    """Return what a row with an `id` says about a model."""
    places = list(_places(row))
    read, written = _prices(row)
    ends, deprecated, retired = lifecycle(row)
    return ModelInfo(
        row["id"],
        texts(row.get("name")) or texts(row.get("display_name")),
        _served(row) or _first(places, _WINDOW) or _of_providers(row),
        read,
        written,
        _seconds(row, ("created", "created_at", "release_date")),
        ends=ends,
        deprecated=deprecated,
        chat=False if row.get("active") is False else _chat(row),
        max_output=_first(places, _REPLY),
        retired=retired,
        vision=_vision(row),
        efforts=_efforts(row),
    )


def moment(value: object) -> float | None:
    """Parse a time: seconds or milliseconds since 1970, or ISO 8601, where a date means midnight UTC."""
    if isinstance(value, str) and value.strip():
        try:
            parsed = datetime.fromisoformat(value.strip())
        except ValueError:
            try:
                return moment(float(value))
            except ValueError:
                return None
        return _timestamp(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e14:
        return None
    return value / 1000 if value > 1e11 else float(value)


def _timestamp(at: datetime) -> float | None:
    try:
        return at.timestamp()
    except (ValueError, OverflowError):
        return None


def lifecycle(row: Mapping[str, Any]) -> tuple[float | None, bool, bool]:
    """Return when a model ends (seconds since 1970), whether it is deprecated, and whether it is retired."""
    ends = next((at for name in _ENDS if (at := moment(row.get(name)))), None)
    deprecation = row.get("deprecation")
    if isinstance(deprecation, Mapping):  # Azure
        ends = ends or moment(deprecation.get("inference"))
        deprecation = None
    ends = ends or moment(deprecation)
    stages = {texts(row.get(name)).lower().replace(" ", "_") for name in _STAGES}
    said = (row.get(name) for name in ("deprecated", "is_deprecated", "deprecated_at", "deprecation"))
    flags = [value for value in said if value and not isinstance(value, Mapping)]
    retired = bool(stages & _RETIRED) or row.get("archived") is True
    return ends, bool(flags) or bool(stages & _DEPRECATED), retired


def effort_names(values: object) -> tuple[str, ...] | None:
    """Translate the efforts of a list to ours, in order; None if it is not a list of them."""
    if not isinstance(values, list):
        return None
    names = {_EFFORT_NAMES.get(str(value).lower(), str(value).lower()) for value in values}
    known = tuple(name for name in _EFFORTS if name in names)
    return (*known, *_EFFORTS[1:]) if names <= {"on", "off"} and "on" in names else known


def supported(value: object) -> bool | None:
    """Read a capability: a boolean or `{"supported": true}`; None if it is neither."""
    if isinstance(value, Mapping):
        value = value.get("supported")
    return value if isinstance(value, bool) else None


def _places(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a row that may have its numbers."""
    yield row
    capabilities = row.get("capabilities")
    limits = capabilities.get("limits") if isinstance(capabilities, Mapping) else None
    for inner in (row.get("top_provider"), row.get("limits"), limits, row.get("metadata"), row.get("model_info")):
        if isinstance(inner, Mapping):
            yield inner


def token_count(value: object) -> int | None:
    """Return a number of tokens that a window or a reply can have; None for anything else."""
    count = whole_number(value)
    return count if count and count <= _MOST_TOKENS else None


def _first(places: Iterable[Mapping[str, Any]], names: Iterable[str]) -> int | None:
    return next((count for place in places for name in names if (count := token_count(place.get(name)))), None)


def _served(row: Mapping[str, Any]) -> int | None:
    """Return the context with which llama.cpp runs a model, which may be less than it was trained for."""
    meta = row.get("meta")
    return _first([meta], ("n_ctx", "n_ctx_train")) if isinstance(meta, Mapping) else None


def _of_providers(row: Mapping[str, Any]) -> int | None:
    """Return the smallest window of the providers behind a router."""
    counts = [token_count(one.get("context_length")) for one in dicts(row.get("providers"))]
    return min((count for count in counts if count), default=None)


def _prices(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the prices in USD per token of prompt and reply; servers give them per token or per million tokens."""
    places = [row.get("pricing")]
    if isinstance(meta := row.get("metadata"), Mapping):
        places.append(meta.get("pricing"))
    places += [one.get("pricing") for one in dicts(row.get("providers"))]
    for place in places:
        if not isinstance(place, Mapping):
            continue
        for names in (("prompt", "completion"), ("input", "output"), ("input_tokens", "output_tokens")):
            if names[0] in place:
                return _per_token(place.get(names[0]), place.get(names[1]))
    return None, None


def _per_token(read: object, written: object) -> tuple[float | None, float | None]:
    numbers = [_number(read), _number(written)]
    if any(number is not None and number > _PER_TOKEN for number in numbers):
        numbers = [None if number is None else number / 1e6 for number in numbers]
    return price(numbers[0]), price(numbers[1])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _seconds(row: Mapping[str, Any], names: Iterable[str]) -> int | None:
    found = next((at for name in names if (at := moment(row.get(name)))), None)
    return None if found is None else int(found)


def _words(value: object) -> set[str]:
    """Return the names in a list, or those that an object has as true, in lower case with underscores."""
    if isinstance(value, Mapping):
        value = [name for name, said in value.items() if supported(said)]
    names = value if isinstance(value, list) else [value]
    return {name.lower().replace("-", "_").replace("/", "_") for name in names if isinstance(name, str)}


def _modalities(row: Mapping[str, Any], way: str) -> set[str]:
    """Return the modalities that a model reads (`input`) or writes (`output`)."""
    architecture, both = row.get("architecture"), row.get("modalities")
    found = _words(row.get(f"{way}_modalities")) | _words(row.get(f"supported_{way}_modalities"))
    if isinstance(both, Mapping):
        found |= _words(both.get(way))
    if isinstance(architecture, Mapping):
        found |= _words(architecture.get(f"{way}_modalities"))
        sides = texts(architecture.get("modality")).partition("->")
        found |= _words(sides[0 if way == "input" else 2].split("+")) - {""}
    return found


def _chat(row: Mapping[str, Any]) -> bool | None:
    """Whether one can chat with a model; None if the row does not tell."""
    capabilities = row.get("capabilities")
    if isinstance(capabilities, Mapping):
        for name in ("completion_chat", "chat_completion", "chat"):
            if (said := supported(capabilities.get(name))) is not None:
                return said
    if isinstance(said := row.get("supports_chat"), bool):
        return said
    if writes := _modalities(row, "output"):
        return "text" in writes
    if ways := _words(row.get("endpoints")) | _words(row.get("default_endpoints")):
        return any("chat" in way or "messages" in way for way in ways)
    kinds = _words(row.get("type")) | _words(row.get("model_type")) | _words(row.get("task"))
    kinds |= _words(capabilities) if isinstance(capabilities, list) else set()
    return True if kinds & _CHAT else False if kinds & _OTHER else None


def _vision(row: Mapping[str, Any]) -> bool | None:
    """Whether a model takes images; None if the row does not tell."""
    for name in ("supports_vision", "supports_image_input", "supports_image_in"):
        if isinstance(said := row.get(name), bool):
            return said
    if reads := _modalities(row, "input"):
        return "image" in reads
    capabilities = row.get("capabilities")
    if isinstance(capabilities, Mapping):
        known = [supported(capabilities.get(name)) for name in ("vision", "image_input")]
        return next((said for said in known if said is not None), None)
    words = _words(capabilities) | _words(row.get("tags")) | _words(row.get("features"))
    return True if words & _SEES or _words(row.get("type")) & _SEES - {"image", "images"} else None


def _efforts(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the efforts that a model takes, empty if it does not reason, None if the row does not tell."""
    reasoning = row.get("reasoning")
    if isinstance(reasoning, Mapping):  # OpenRouter
        known = effort_names(reasoning.get("supported_efforts")) or _EFFORTS[1:]
        return known if reasoning.get("mandatory") or "off" in known else ("off", *known)
    for name in ("supported_reasoning_efforts", "reasoning_efforts", "reasoning_effort"):
        said = row.get(name)
        listed = said.get("valid_efforts") if isinstance(said, Mapping) else said
        if (known_ones := effort_names(listed)) is not None:
            return known_ones
    capabilities = row.get("capabilities")
    flags = [row.get("supports_reasoning"), reasoning]
    if isinstance(capabilities, Mapping):
        flags.append(supported(capabilities.get("reasoning")))
    parameters = row.get("supported_parameters")
    if isinstance(parameters, list) and parameters:
        flags.append(not {"reasoning", "reasoning_effort"}.isdisjoint(map(str, parameters)))
    return () if any(flag is False for flag in flags) and not any(flag is True for flag in flags) else None
