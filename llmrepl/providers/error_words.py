"""Classify errors by their wording: vendors return 400 for an invalid key or a prompt that is too long."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

TOO_LONG, BAD_KEY, NO_CREDIT, NO_MODEL, FILTERED = 413, 401, 402, 404, 451

_SILENT = frozenset({None, 400, 403, 413, 422, 500, 502, 503})
"""Statuses (None inside a stream) that may stand for another error."""

_TOO_LONG = r"""prompt\ is\ too\ long | prompt\ too\ long | input\ (?:is|was)\ too\ long | too\ many\ (?:input\ )?tokens
    | max(?:imum)?\ (?:context|prompt|sequence|input|model)\ length | max_model_len
    | maximum\ model\ length | maximum\ number\ of\ (?:input\ )?tokens | maximum\ input\ token
    | (?:exceed(?:s|ed|ing)?|over(?:flows?|flowed)|larger\ than|longer\ than|above|beyond)\b.{0,60}
      \b(?:context|token\ limit|max(?:imum)?\ length|maximum\ tokens)
    | context[\ _-](?:length|window|size|limit|overflow)s?\b.{0,60}\b(?:exceed|overflow|too\ (?:small|short)|only|limit)
    | context_length_exceeded | exceed_context_size | context[\ _-]?window[\ _-]?exceeded | tokens_limit_reached
    | reduce\ the\ length\ of\ the | request\ body\ too\ large\ for\ .{0,60}\ model
    | inputs?`?\ tokens\ \+\ `?max_new_tokens | range\ of\ input\ length | prompt\ contains\ \d+\ tokens
    | model\ token\ limit | when\ context\ the\ overflows | context\ the\ overflows | max_seq_len
    | (?:more|greater)\ than\ (?:the\ )?(?:max(?:imum)?\ tokens|context\ (?:length|window|size))"""
_BAD_KEY = r"""(?:incorrect|invalid|wrong|bad|missing|expired|unknown|revoked|no)\ (?:x-)?
      (?:api|authentication|authorization|auth|access|bearer|subscription)[\ _-]?(?:key|token|credentials?|header)
    | api[\ _-]?key\ (?:is\ |was\ )?(?:not\ valid|not\ found|invalid|incorrect|expired|missing|required|revoked)
    | api[\ _-]?key[_\ -]?invalid | invalid[_\ -]?api[_\ -]?key | not\ authenticated | unauthenticated | unauthorized
    | authentication_?error | login\ fail | \bapi[\ _-]?key\b.{0,40}\bis\ (?:not\ valid|invalid|incorrect|expired)
    | \btoken\ (?:is\ )?(?:invalid|incorrect|expired|not\ valid) | \btoken\ included\b.{0,30}\bis\ invalid
    | ^(?:\S+\ )*?invalid\ token\b"""
_NO_CREDIT = r"""credit\ balance\ is\ too\ low | insufficient[\ _](?:account\ )?(?:credits?|balance|funds)
    | (?:used|spent)\ (?:up\ )?all\ (?:of\ )?(?:your\ |the\ )?(?:available\ )?credits | out\ of\ credits
    | balance\ (?:is\ )?(?:not\ enough|insufficient) | arrearage | \bno\ credits\b
    | (?:\bnot|n't)\ have\ (?:any\ |enough\ |sufficient\ )*credits?\b"""

_NO_MODEL = r"""\b(?:model|deployment)_?(?:not_?found|not_?exist\w*|decommissioned|deprecated|retired|gone|sunset)\b
    | \b(?:invalid|unknown|unsupported|missing)_model\b | \bno\ such\ model\b | \bnot\ a\ valid\ model\b
    | \b(?:invalid|unknown|unrecognized)\ model\b(?!\ (?:output|response|parameter)) | \bmodel\ not\ (?:exist|found)
    | \bmodel\b.{0,80}\b(?:decommissioned|retired|discontinued|shut\ down|sunset
      |no\ longer\ (?:available|supported|served)
      |(?:does|do)\ not\ exist|doesn't\ exist|(?:is|was)\ not\ found|could\ not\ be\ found|been\ removed)
    | (?:\bnot|n't)\ have\ access\ to\ (?:the\ )?model"""
_MODEL_STATUSES = frozenset({None, 400, 403, 410, 422})

_FILTERED = r"""content_?filter | content_policy | responsible_?ai_?policy | data_?inspection_?failed
    | content\ management\ policy | prohibited_content
    | \b(?:prompt|input|request|output|content)\b.{0,40}\b(?:flagged|inappropriate|moderat\w+|blocked)
    | safety\ (?:system|filter|settings)"""
_FILTER_STATUSES = frozenset({None, 400, 403, 422})


_MEANINGS = (
    (_SILENT, _TOO_LONG, TOO_LONG),
    (_SILENT, _NO_CREDIT, NO_CREDIT),
    (_MODEL_STATUSES, _NO_MODEL, NO_MODEL),
    (_SILENT, _BAD_KEY, BAD_KEY),
    (_FILTER_STATUSES, _FILTERED, FILTERED),
)
"""Statuses that may stand for another, a pattern of words, and the status that these mean; the first one counts."""


def status_in_words(status: int | None, names: Iterable[str], message: str) -> int | None:
    """Return the status an error deserves by its words (TOO_LONG, BAD_KEY, NO_CREDIT …), otherwise `status`.

    `names` are the codes and types in the error object.
    """
    words = " ".join([*names, message])
    return next((meant for silent, pattern, meant in _MEANINGS if status in silent and _says(pattern, words)), status)


def _says(pattern: str, words: str) -> bool:
    """Whether the words match a pattern, which is compiled when the first error occurs."""
    return re.search(pattern, words, re.IGNORECASE | re.VERBOSE | re.DOTALL) is not None


def is_too_long(words: str) -> bool:
    """Whether the words of an error say that the prompt does not fit."""
    return _says(_TOO_LONG, words)


def is_stale_reasoning(payload: object) -> bool:
    """Whether an error refuses the signed or encrypted reasoning of earlier replies, as with another account's key."""
    return _says(_STALE, payload if isinstance(payload, str) else json.dumps(payload))


def is_no_images(payload: object) -> bool:
    """Whether an error says that the model takes no images."""
    return _says(_NO_IMAGES, payload if isinstance(payload, str) else json.dumps(payload))


_NO_IMAGES = r"""(?:support|accept|take|allow|handle|process)\w*\b.{0,30}\b(?:images?|image_url|vision|multi-?modal)\b
    | \b(?:images?|image_url|vision|multi-?modal)\b.{0,60}\b(?:not|un)[ \-]?(?:support|enabled|allowed|accept|available)
    | \b(?:unknown|unexpected|invalid)\b.{0,30}\bimage_url | content\b.{0,20}\bmust\ be\ a\ string
    | text[- ]only\ model | missing\ mmproj"""


def is_no_system(payload: object) -> bool:
    """Whether an error says that the model takes no system prompt, as the templates of some open models do not."""
    return _says(_NO_SYSTEM, payload if isinstance(payload, str) else json.dumps(payload))


_NO_SYSTEM = r"""\b(?:system|developer)['"\ ]{0,3}(?:role|messages?|prompts?|instructions?)?\b.{0,40}
      \bnot\ (?:supported|enabled|allowed)
    | \bnot\ support\b.{0,20}\bsystem\b | \bunsupported\ role\b.{0,10}\bsystem\b
    | \broles\ must\ alternate\ user | \bonly\ user\b.{0,30}\broles\ are\ supported"""


def is_for_chat_only(payload: object) -> bool:
    """Whether an error says that the model has chat completions, but not Responses."""
    return _says(_CHAT_ONLY, payload if isinstance(payload, str) else json.dumps(payload))


_CHAT_ONLY = r"""\b(?:cannot|not|unsupported)\b.{0,60}\b(?:responses\ api|v1/responses)
    | \bonly\b.{0,60}\b(?:chat/completions|chat\ completions)"""

_STALE = r"""invalid_encrypted_content | encrypted\ content\b.{0,80}\b(?:verif|decrypt|parse|invalid)
    | (?:invalid|corrupt\w*|expired|bad)\b.{0,30}\bsignature
    | signature\b.{0,60}\b(?:invalid|not\ valid|corrupt|expired)
    | thought[\ _]?signature | thinking.{0,20}\ blocks?\b.{0,80}\b(?:cannot|must|invalid|unexpected|not\ supported)
    | reasoning_details | unexpected.{0,40}reasoning\ item"""


def too_long(message: str) -> str:
    """Return the message for a prompt that is too long.

    It includes the prompt's tokens and the limit if `message` names exactly these.
    """
    found = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]{1,11}", message)}
    numbers = sorted(number for number in found if number >= 16)
    if len(numbers) == 2 and re.search(rf"(?i)exceed\w*\ by\ {numbers[0]}\b", message):
        numbers = [numbers[1], numbers[0] + numbers[1]]
    counted = f": {numbers[1]:,} of {numbers[0]:,} tokens" if len(numbers) == 2 else ""
    return f"Too long for this model{counted}. {message}".rstrip()
