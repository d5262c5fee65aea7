"""Copy to the clipboard with a desktop program or, also over ssh, the terminal (OSC 52)."""

from __future__ import annotations

import base64
import shutil
import subprocess

from llmrepl.errors import UsageError
from llmrepl.system.environment import Environment

_PROGRAMS = (
    ("WAYLAND_DISPLAY", ["wl-copy"]),
    ("DISPLAY", ["xclip", "-selection", "clipboard"]),
    ("DISPLAY", ["xsel", "--clipboard", "--input"]),
    ("", ["pbcopy"]),
    ("WSL_DISTRO_NAME", ["clip.exe"]),
)
_MOST_OSC52 = 74_994
"""Maximum bytes that xterm accepts in an OSC 52 sequence."""


def copy(text: str, environment: Environment) -> None:
    """Copy `text` to the clipboard, byte for byte. Raises UsageError if neither way works."""
    data = text.encode("utf-8", "replace")
    if "SSH_CONNECTION" not in environment.environ:
        for variable, program in _PROGRAMS:
            if (not variable or environment.environ.get(variable)) and shutil.which(program[0]):
                done = subprocess.run(program, input=data, capture_output=True, check=False, timeout=5)
                if done.returncode == 0:
                    return
    if len(data) > _MOST_OSC52:
        raise UsageError(
            f"{len(data):,} bytes are more than a terminal's clipboard takes.", ":copy --to FILE writes to a file"
        )
    sequence = f"\x1b]52;c;{base64.b64encode(data).decode()}\x07"
    if environment.environ.get("TMUX"):
        sequence = f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
    environment.stdout.write(sequence)
    environment.stdout.flush()
