"""The providers that this program knows: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider: where it is, whose protocol it speaks, where its key comes from.

    `dialect` is `openai`, `anthropic`, `gemini` or `ollama`. `key_env` and `base_url_env` are environment variables,
    the first that is set counts; a vendor with no `key_env` runs locally and needs none. `keys_page` is where a person
    gets a key (or the program).

    What differs among those who speak OpenAI's protocol: `asks_usage`: `stream_options.include_usage` is understood;
    `max_tokens` is the name of that field; `own_cost`: usage comes with a cost in USD.
    """

    name: str
    base_url: str
    dialect: str
    key_env: tuple[str, ...]
    base_url_env: tuple[str, ...]
    keys_page: str
    asks_usage: bool = True
    max_tokens: str = "max_tokens"
    own_cost: bool = False

    @property
    def needs_key(self) -> bool:
        """Whether a request without a key makes no sense."""
        return bool(self.key_env) and self.base_url.startswith("https:")


_ROWS = (
    Vendor(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "openai",
        ("OPENROUTER_API_KEY",),
        ("OPENROUTER_BASE_URL",),
        "https://openrouter.ai/keys",
        own_cost=True,
    ),
    Vendor(
        "openai",
        "https://api.openai.com/v1",
        "openai",
        ("OPENAI_API_KEY",),
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        "https://platform.openai.com/api-keys",
        max_tokens="max_completion_tokens",
    ),
    Vendor(
        "anthropic",
        "https://api.anthropic.com",
        "anthropic",
        ("ANTHROPIC_API_KEY",),
        ("ANTHROPIC_BASE_URL",),
        "https://console.anthropic.com/settings/keys",
    ),
    Vendor(
        "gemini",
        "https://generativelanguage.googleapis.com",
        "gemini",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        ("GOOGLE_GEMINI_BASE_URL",),
        "https://aistudio.google.com/apikey",
    ),
    Vendor("ollama", "http://127.0.0.1:11434", "ollama", (), ("OLLAMA_HOST",), "https://ollama.com/download"),
    Vendor("groq", "https://api.groq.com/openai/v1", "openai", ("GROQ_API_KEY",), (), "https://console.groq.com/keys"),
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        "openai",
        ("MISTRAL_API_KEY",),
        (),
        "https://console.mistral.ai/api-keys",
        asks_usage=False,
    ),
    Vendor(
        "deepseek",
        "https://api.deepseek.com",
        "openai",
        ("DEEPSEEK_API_KEY",),
        (),
        "https://platform.deepseek.com/api_keys",
    ),
    Vendor("xai", "https://api.x.ai/v1", "openai", ("XAI_API_KEY",), (), "https://console.x.ai"),
    Vendor(
        "together",
        "https://api.together.xyz/v1",
        "openai",
        ("TOGETHER_API_KEY",),
        ("TOGETHER_BASE_URL",),
        "https://api.together.ai/settings/api-keys",
    ),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1", "openai", (), (), "https://lmstudio.ai"),
    Vendor("llamacpp", "http://127.0.0.1:8080/v1", "openai", (), (), "https://github.com/ggml-org/llama.cpp"),
    Vendor("vllm", "http://127.0.0.1:8000/v1", "openai", (), (), "https://docs.vllm.ai"),
)

VENDORS: Mapping[str, Vendor] = {row.name: row for row in _ROWS}
"""The providers by name, in the order in which the first one with a key is chosen."""

SERVERS = ("ollama", "lmstudio", "llamacpp")
"""The vendors whose servers are looked for on this machine, in this order."""


def compatible(name: str, base_url: str, key_env: str = "") -> Vendor:
    """The row for a server that speaks OpenAI's protocol and is only known to the user's configuration."""
    return Vendor(name, base_url, "openai", (key_env,) if key_env else (), (), "")


def base_url_of(vendor: Vendor, environ: Mapping[str, str]) -> tuple[str, str]:
    """A vendor's base URL and the environment variable it came from (empty for the built-in one)."""
    for variable in vendor.base_url_env:
        if value := environ.get(variable, "").strip():
            return (ollama_url(value) if vendor.dialect == "ollama" else value), variable
    return vendor.base_url, ""


def ollama_url(host: str) -> str:
    """OLLAMA_HOST as a URL: scheme, port and host may be missing, and an address to listen on means this machine."""
    scheme, found, rest = host.partition("://")
    if not found:
        scheme, rest = "http", host
    authority, slash, path = rest.partition("/")
    name, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        name, port = authority, {"https": "443", "http": "80"}[scheme] if found and scheme in ("http", "https") else ""
    if name in ("", "0.0.0.0", "[::]"):
        name = "127.0.0.1"
    return f"{scheme}://{name}:{port or '11434'}{slash}{path}".rstrip("/")


OFFLINE_MODELS = {
    "guide": "answers questions about this shell out of its own documentation: a search, not a language model",
    "echo": "repeats the prompt, for scripts and tests",
}
"""The built-in models and what each of them is."""
