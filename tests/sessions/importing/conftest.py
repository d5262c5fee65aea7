"""Which tests are collected here."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("LLMREPL_PROGRAMS") else ["test_programs.py"]
"""The programs take 2 GB to install; they are tried by hand when a reader changes."""
