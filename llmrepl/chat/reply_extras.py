"""Citations, images and opaque data of a reply; images are saved beside the session."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from llmrepl.formatting import escape_name
from llmrepl.providers.base import Event, Notice
from llmrepl.system import files
from llmrepl.types import Attachment, Citation, ProviderData

_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}


class ReplyExtras:
    """Collects the extras of one reply.

    `session` is the path of the session's file, or None if nothing is saved. Images are saved in its directory.
    """

    def __init__(self) -> None:
        self.citations: list[Citation] = []
        self.provider_data: ProviderData | None = None
        self.pictures: list[Path] = []

    def take(self, event: Event, session: Path | None) -> Notice | None:
        """Store an event that is an extra; return notes for the user."""
        if isinstance(event, Citation):
            self.citations.append(event)
        elif isinstance(event, ProviderData):
            self.provider_data = event
        elif isinstance(event, Attachment):
            return self._save(event, session)
        return None

    def _save(self, picture: Attachment, session: Path | None) -> Notice:
        size = f"{picture.media_type}, {len(picture.data):,} bytes"
        if session is None:
            return Notice(f"A picture in the reply ({size}) was left out, because this conversation is not saved.")
        ending = _ENDINGS.get(picture.media_type, "bin")
        try:
            files.private_mkdir(session.parent)
            for number in count(1):
                path = session.with_name(f"{session.name.partition('.json')[0]}-picture-{number}.{ending}")
                try:
                    files.create(path, picture.data)
                    break
                except FileExistsError:
                    continue
        except OSError as error:
            return Notice(f"A picture in the reply ({size}) could not be saved: {files.reason(error)}.")
        self.pictures.append(path)
        return Notice(f"Saved a picture ({size}) as {escape_name(str(path))}.")
