"""The table of all settings: key, type, default, and who may set it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Value = str | float | int | bool | None
"""A setting's value; None is `not set`. USD, seconds and tokens are plain numbers."""

EFFORTS = ("off", "minimal", "low", "medium", "high", "max")
"""How much a model may reason before it answers; a number is the maximum tokens of reasoning."""

PROTOCOLS = ("openai", "responses", "anthropic", "gemini", "ollama")
"""Values of `protocol`."""

_FLAGS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table.

    `kind` is text, path, flag, choice, number or count (an integer) from `least` to `most`, effort, list (names, stored
    with commas), table (texts by name) or any (a TOML value). `env` is its environment variable if that is not LLM_ and
    the key; `short` its name in `:set`, if it has one. `project`: a .llm.toml may set it; `lower`: but only lower it.
    `shell`: `:set` may change it.
    """

    key: str
    kind: str
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = math.inf
    env: str = ""
    short: str = ""
    project: bool = False
    lower: bool = False
    shell: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return self.env or f"LLM_{self.key.upper()}"

    @property
    def name(self) -> str:
        """Its name in `:set`."""
        return self.short or self.key

    @property
    def numeric(self) -> bool:
        """Whether its value is a number."""
        return self.kind in ("number", "count")

    def read(self, value: object) -> Value:
        """Validate a value from TOML or text. Raises ValueError with what it must be."""
        if self.numeric:
            off = self.default is None and isinstance(value, str) and value.lower() in ("off", "none")
            return None if off else self._number(value)
        if self.kind == "any":
            return value  # type: ignore[return-value]  # as it is
        if self.kind == "list":
            return self._list(value)
        if self.kind == "effort":
            return self._effort(value)
        if self.kind == "flag":
            flag = value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())
            if flag is None:
                raise ValueError("must be true or false")
            return flag
        if not isinstance(value, str) or "\0" in value:
            raise ValueError("must be text")
        if self.kind == "choice" and value not in self.choices:
            raise ValueError(f"must be {' or '.join(self.choices)}")
        if self.kind == "path" and not value.strip():
            raise ValueError("must be a path")
        return value

    def _list(self, value: object) -> str:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) and "," not in name for name in names):
            raise ValueError("must be a list of names")
        return ", ".join(filter(None, (name.strip() for name in names)))

    def _effort(self, value: object) -> str | None:
        text = str(value).strip().lower()
        if text in ("default", "none", ""):
            return None
        if isinstance(value, bool) or not (text in EFFORTS or (text.isascii() and text.isdigit() and len(text) < 8)):
            raise ValueError(f"must be {', '.join(EFFORTS)} or a number of tokens")
        return text

    def _number(self, value: object) -> float | int:
        limits = f"from {self.least:g}" + (f" to {self.most:g}" if self.most < math.inf else " up")
        wanted = f"must be a {'whole ' if self.kind == 'count' else ''}number {limits}"
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(wanted)
        try:
            found = int(value) if self.kind == "count" and not isinstance(value, float) else float(value)
        except (ValueError, OverflowError):
            raise ValueError(wanted) from None
        if not math.isfinite(found) or not self.least <= found <= self.most:
            raise ValueError(wanted)
        if self.kind == "count" and found != int(found):
            raise ValueError(wanted)
        return int(found) if self.kind == "count" else found


SETTINGS = (
    Setting("default_model", "text", None, "default model of new sessions", env="LLM_MODEL", project=True),
    Setting("default_system_prompt", "text", None, "system prompt of new sessions", project=True),
    Setting("session_dir", "path", "runs", "directory to save sessions in", env="LLM_SESSIONS_DIR", project=True),
    Setting("save_sessions", "flag", True, "whether to save sessions"),
    Setting("stream_responses", "flag", True, "show replies while they stream", short="stream", shell=True),
    Setting("show_costs", "flag", True, "show tokens and cost after each reply", shell=True),
    Setting(
        "default_budget",
        "number",
        None,
        "budget of a session in USD",
        env="LLM_SESSION_BUDGET",
        project=True,
        lower=True,
    ),
    Setting("daily_budget", "number", None, "budget of a day in USD, for all shells", project=True, lower=True),
    Setting("budget_at_limit", "choice", "stop", "what to do when a budget is reached", choices=("stop", "warn")),
    Setting("mask_secrets", "flag", False, "mask keys and passwords in prompts and saved sessions"),
    Setting("max_retries", "count", 2, "maximum retries of a request", most=20),
    Setting("connect_timeout", "number", 10.0, "seconds to wait for a connection", least=0.001, most=86400),
    Setting("first_token_timeout", "number", 300.0, "seconds to wait for the first token", least=0.001, most=86400),
    Setting("idle_timeout", "number", 60.0, "seconds without text until a reply times out", least=0.001, most=86400),
    Setting("allow_http", "flag", False, "send keys to other machines unencrypted"),
    Setting("local_servers", "flag", True, "without a key, look for local model servers"),
    Setting("temperature", "number", None, "sampling temperature", most=2, shell=True),
    Setting("top_p", "number", None, "nucleus sampling probability", most=1, shell=True),
    Setting("max_tokens", "count", None, "maximum length of a reply in tokens", least=1, most=1 << 31, shell=True),
    Setting("effort", "effort", None, "how much the model reasons before it answers", shell=True),
    Setting("fallback", "list", None, "models to try in this order if a provider fails before the reply begins"),
    Setting("markdown", "flag", True, "render replies as Markdown", shell=True),
    Setting(
        "reasoning", "choice", "show", "whether to show the model's reasoning", choices=("show", "hide"), shell=True
    ),
    Setting("bell", "flag", False, "ring the terminal's bell after a reply that took over 10 seconds", shell=True),
    Setting("keys", "choice", "emacs", "editing keys", choices=("emacs", "vi"), shell=True),
)
"""All settings other than those in TABLES."""

TABLES: Mapping[str, tuple[Setting, ...]] = {
    "providers": (
        Setting("base_url", "text", None, "base URL of the provider"),
        Setting("api_key_env", "text", None, "environment variable with the key"),
        Setting("api_key_cmd", "text", None, "command that prints the key"),
        Setting("protocol", "choice", None, "protocol of the server", choices=PROTOCOLS),
        Setting("prices", "text", None, "provider whose prices apply, such as openai"),
        Setting("max_tokens_field", "text", None, "name of the field that limits the reply"),
        Setting("headers", "table", None, "headers sent with each request"),
        Setting("query", "table", None, "query parameters sent with each request"),
    ),
    "models": (
        Setting("temperature", "number", None, "sampling temperature", most=2),
        Setting("top_p", "number", None, "nucleus sampling probability", most=1),
        Setting("max_tokens", "count", None, "maximum length of a reply in tokens", least=1, most=1 << 31),
        Setting("effort", "effort", None, "how much the model reasons before it answers"),
        Setting("extra", "any", None, "fields added to each request unchanged"),
    ),
    "prices": tuple(
        Setting(key, "number", None, f"USD per million tokens: {what}")
        for key, what in (
            ("input", "prompt"),
            ("output", "reply"),
            ("cache_read", "prompt read from the cache"),
            ("cache_write", "prompt written to the cache"),
        )
    ),
    "aliases": (),
    "prompts": (),
}
"""Settings in `[providers.NAME]`, `[models."MODEL"]` and `[prices."MODEL"]`.

`[aliases]` and `[prompts]` contain NAME = text.
"""
