"""Help pages that belong to no command: the keyboard and API keys."""

from __future__ import annotations

KEYBOARD = """\
Keys at the prompt

  Enter                  send the input
  Alt-Enter, Ctrl-J, Ctrl-O
                         start a new line
  \"""                    alone on a line: begin and end a text of several lines
  Tab                    complete commands, options, sessions, models and files
  Right, Ctrl-E          accept the gray suggestion
  Up, Down               earlier inputs that begin with what you typed
  Ctrl-R                 search earlier inputs; Ctrl-G or Ctrl-C cancels
  Ctrl-G, Ctrl-X Ctrl-E  edit the input in $VISUAL or $EDITOR; Enter sends it
  Alt-P                  pick a model
  Ctrl-C                 while typing: clear the input; during a reply: stop it
  Ctrl-D                 in an empty input: leave
  Ctrl-A, Ctrl-E         beginning and end of the line
  Ctrl-W, Ctrl-U, Ctrl-K delete a word, to the beginning, to the end of the line
  Ctrl-L, Ctrl-Z         clear the screen, suspend

:set keys vi has vi keys until you leave, :config set keys vi always.
API keys are :help api-keys.
"""

API_KEYS = """\
A provider needs an API key, which you make on its website. It is taken from the environment (OPENAI_API_KEY), a .env
file in the working directory, what 'keys set' saved, or the command api_key_cmd in the configuration, in this order.
"""

TOPICS = {
    "keys": "the keyboard",
    "keyboard": "the keyboard",
    "shortcuts": "the keyboard",
    "api-keys": "API keys of providers",
    "all": "all commands, a line each",
}
"""What `:help` explains besides commands."""
