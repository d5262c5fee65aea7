"""What a command found to attach, and how much that may be."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmrepl.errors import UsageError
from llmrepl.formatting import pluralize
from llmrepl.types import Attachment

MAX_BYTES = 20 << 20
"""Maximum size of an attachment, and of all that one command attaches; no provider accepts more."""

MAX_FILES = 1000
"""Maximum number of files that one command attaches."""

MAX_VISITED = 100_000
"""Maximum number of files and directories that are looked at for it."""


@dataclass
class Found:
    """Attachments, and why other files were left out, with a count each."""

    attachments: list[Attachment] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, why: str) -> None:
        """Count a file that is not attached."""
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def add(self, other: Found) -> None:
        """Add what was found elsewhere. Raises UsageError for too many files or bytes."""
        known = {(one.name, one.data) for one in self.attachments}
        self.attachments += (one for one in other.attachments if (one.name, one.data) not in known)
        for why, count in other.left_out.items():
            self.left_out[why] = self.left_out.get(why, 0) + count
        check_amount(len(self.attachments), sum(len(one.data) for one in self.attachments))


def check_amount(files: int, size: int) -> None:
    """Raise UsageError for more than MAX_FILES or MAX_BYTES."""
    if files > MAX_FILES:
        raise UsageError(
            f"That is more than {MAX_FILES:,} files.", "':attach' takes a smaller directory, or some files"
        )
    if size > MAX_BYTES:
        what = f"That is more than {MAX_BYTES >> 20} MiB in {pluralize(files, 'file')}."
        raise UsageError(what, "':attach' takes a smaller directory, or some files")


def describe_left_out(found: Found) -> str:
    """Describe what was left out: `12 ignored by .gitignore, 3 not text`."""
    return ", ".join(f"{count:,} {why}" for why, count in sorted(found.left_out.items()))
