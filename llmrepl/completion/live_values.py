"""Completion of values that only the program knows, such as session names, models and tags."""

from __future__ import annotations

from typing import Any

from llmrepl.commands.value_sources import COMPLETE, SOURCES

_BASH = rf"""
_llm_live() {{  # values of the source $1 that fit the word $2, quoted for bash
  local word value
  word=$(printf '%s' "$2" | xargs -n 1 printf '%s' 2>/dev/null) || word=$2
  llm {COMPLETE} "$1" "$word" "${{COMP_WORDS[COMP_CWORD-1]}}" 2>/dev/null |
    while IFS=$'\t' read -r value _; do printf '%q\n' "$value"; done
}}
COMP_WORDBREAKS=${{COMP_WORDBREAKS//:/}}  # the names of models have colons in them
"""

_ZSH = rf"""
_llm_live() {{  # the last argument is the source; those before it are for compadd
  local -a found; local value hint
  while IFS=$'\t' read -r value hint; do
    found+=("${{value//:/\\:}}:$hint")
  done < <(llm {COMPLETE} "${{@[-1]}}" "${{(Q)PREFIX}}" "${{words[CURRENT-1]}}" 2>/dev/null)
  _describe -t "${{@[-1]}}" "${{@[-1]}}" found
}}
"""

_POWERSHELL = rf"""
function _llm_live {{
  param([string]$Source, [string]$Word)
  $words = @($commandAst.CommandElements | ForEach-Object {{ "$_" }})  # the caller's
  $before = if ($Word) {{ $words[-2] }} else {{ $words[-1] }}
  llm {COMPLETE} $Source $Word.Trim("'", '"') "$before" 2>$null | ForEach-Object {{
    $value = ($_ -split "`t")[0]
    if ($value -match '[^\w./:@+-]') {{ "'" + $value.Replace("'", "''") + "'" }} else {{ $value }}
  }}
}}
"""


_EACH_BASH = '_llm_live_{0}() {{ _llm_live {0} "$1"; }}'
_EACH_POWERSHELL = "function _llm_live_{0} {{ param([string]$Word) _llm_live {0} $Word }}"

_PREAMBLE = {
    "bash": _BASH + "\n".join(map(_EACH_BASH.format, SOURCES)),
    "zsh": _ZSH,
    "powershell": _POWERSHELL + "\n".join(map(_EACH_POWERSHELL.format, SOURCES)),
}


def live_completer(source: str) -> dict[str, Any]:
    """Return shtab's completer of a source for each shell."""
    return {
        "bash": f"_llm_live_{source}",
        "zsh": f"_llm_live {source}",
        "fish": f"(llm {COMPLETE} {source} (commandline -ct | string unescape) (commandline -opc)[-1])",
        "powershell": f"_llm_live_{source}",
        "preamble": _PREAMBLE,
    }


def for_both_names(shell: str, script: str) -> str:
    """Extend a script for `llm` to `llmrepl`, which is the same program."""
    if shell == "zsh":
        return script.replace("#compdef llm\n", "#compdef llm llmrepl\n", 1)
    more = {"bash": "complete -o bashdefault -F _shtab_llm llmrepl", "fish": "complete -c llmrepl -w llm"}
    return "\n".join(filter(None, [script, more.get(shell)]))
