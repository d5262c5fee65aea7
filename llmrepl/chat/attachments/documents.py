"""Send the text of PDFs to providers that do not read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from llmrepl.chat.attachments.prompt_text import append_texts
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.types import Attachment, Message

PDF = "application/pdf"


def has_pdf(messages: Iterable[Message]) -> bool:
    """Whether a PDF is among the attachments."""
    return any(one.media_type == PDF for message in messages if message.attachments for one in message.attachments)


def adapt(messages: Sequence[Message], *, native: bool) -> list[Message]:
    """Return the messages as they are sent.

    With `native` PDFs get their number of pages, for estimates; otherwise their text takes their place.
    """
    return [_adapt(message, native=native) if has_pdf([message]) else message for message in messages]


def check(attachments: Iterable[Attachment], provider: str) -> list[str]:
    """Return the names of the PDFs whose text is sent to a provider. Raises UsageError for one without text."""
    names = []
    for one in attachments:
        if one.media_type == PDF:
            if not _text(one):
                raise UsageError(
                    f"{escape_name(one.name)} has no text, as a scan has none, and {provider} takes no PDFs.",
                    "':model' chooses one that does, of anthropic, gemini or openai",
                )
            names.append(escape_name(one.name))
    return names


def _adapt(message: Message, *, native: bool) -> Message:
    if native:
        return replace(message, attachments=tuple(map(_with_pages, message.attachments)))
    texts = [_as_text(one) for one in message.attachments if one.media_type == PDF]
    others = tuple(one for one in message.attachments if one.media_type != PDF)
    return replace(message, content=append_texts(message.content, texts), attachments=others)


def _with_pages(attachment: Attachment) -> Attachment:
    if attachment.media_type != PDF or attachment.pages:
        return attachment
    from llmrepl.chat.attachments.pdf import count_pages

    try:
        return replace(attachment, pages=count_pages(attachment.data, attachment.name))
    except UsageError:  # the provider judges it
        return attachment


def _as_text(attachment: Attachment) -> Attachment:
    try:
        text = _text(attachment)
    except UsageError as unreadable:
        text = unreadable.message
    return Attachment(attachment.name, "text/plain", (text or "(a PDF without text)").encode("utf-8", "replace"))


def _text(attachment: Attachment) -> str:
    from llmrepl.chat.attachments.pdf import text_of

    return text_of(attachment.data, attachment.name)
