"""Write the generated files to the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import llmrepl
from llmrepl.completion.generated_files import generate

root = Path(llmrepl.__file__).resolve().parent.parent
for name, text in generate().items():
    (root / name).write_text(text, "utf-8")
    sys.stdout.write(f"wrote {name}\n")
