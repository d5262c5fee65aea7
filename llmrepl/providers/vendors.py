"""The table of known providers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

PROTOCOL_NAMES = ("openai", "responses", "anthropic", "gemini", "ollama")
"""The protocols: OpenAI chat completions and Responses, Anthropic Messages, Gemini generateContent, Ollama chat."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider: its address, protocol and key.

    `base_url` may contain environment variables in braces. `dialect` is one of PROTOCOL_NAMES. `key_env` and
    `base_url_env` are environment variables, the first one set is used; a vendor without `key_env` is local and needs
    no key. `keys_page` is where to get a key (or the program).

    `headers` and `query` are sent with every request. `key_header` is the header of the key if not `authorization`;
    `key_optional` allows requests without a key. `prices` is the provider whose prices apply, if not its own. For
    OpenAI's protocol, `asks_usage` means that `stream_options.include_usage` is supported, `max_tokens` is the name of
    that field, and `own_cost` means that usage includes a cost in USD. `pdf` means that models read PDFs.
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
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    key_header: str = ""
    key_optional: bool = False
    prices: str = ""
    pdf: bool = False

    @property
    def needs_key(self) -> bool:
        """Whether requests require a key."""
        return bool(self.key_env) and self.base_url.startswith(("https:", "{"))

    @property
    def price_owner(self) -> str:
        """The provider whose prices apply."""
        return self.prices or self.name


def _openai(name: str, base_url: str, key_env: str, keys_page: str, *base_url_env: str) -> Vendor:
    """Create the row of a vendor with the OpenAI chat protocol."""
    return Vendor(name, base_url, "openai", (key_env,), base_url_env, keys_page)


_ROWS = (
    Vendor(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "openai",
        ("OPENROUTER_API_KEY",),
        ("OPENROUTER_BASE_URL",),
        "https://openrouter.ai/keys",
        own_cost=True,
        pdf=True,
    ),
    Vendor(
        "openai",
        "https://api.openai.com/v1",
        "responses",
        ("OPENAI_API_KEY",),
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        "https://platform.openai.com/api-keys",
        max_tokens="max_completion_tokens",
        pdf=True,
    ),
    Vendor(
        "anthropic",
        "https://api.anthropic.com",
        "anthropic",
        ("ANTHROPIC_API_KEY",),
        ("ANTHROPIC_BASE_URL",),
        "https://console.anthropic.com/settings/keys",
        pdf=True,
    ),
    Vendor(
        "gemini",
        "https://generativelanguage.googleapis.com",
        "gemini",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        ("GOOGLE_GEMINI_BASE_URL",),
        "https://aistudio.google.com/apikey",
        pdf=True,
    ),
    Vendor("ollama", "http://127.0.0.1:11434", "ollama", (), ("OLLAMA_HOST",), "https://ollama.com/download"),
    _openai("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "https://console.groq.com/keys"),
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        "openai",
        ("MISTRAL_API_KEY",),
        (),
        "https://console.mistral.ai/api-keys",
        asks_usage=False,
    ),
    _openai("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "https://platform.deepseek.com/api_keys"),
    _openai("xai", "https://api.x.ai/v1", "XAI_API_KEY", "https://console.x.ai"),
    _openai(
        "together",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        "https://api.together.ai/settings/api-keys",
        "TOGETHER_BASE_URL",
    ),
    _openai(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "https://app.fireworks.ai/settings/users/api-keys",
    ),
    _openai("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "https://cloud.cerebras.ai"),
    _openai(
        "perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", "https://www.perplexity.ai/account/api/keys"
    ),
    Vendor(
        "cohere",
        "https://api.cohere.ai/compatibility/v1",
        "openai",
        ("COHERE_API_KEY", "CO_API_KEY"),
        (),
        "https://dashboard.cohere.com/api-keys",
    ),
    Vendor(
        "huggingface",
        "https://router.huggingface.co/v1",
        "openai",
        ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        (),
        "https://huggingface.co/settings/tokens",
    ),
    _openai(
        "moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "https://platform.moonshot.ai/console/api-keys"
    ),
    _openai(
        "zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", "https://z.ai/manage-apikey/apikey-list", "ZAI_BASE_URL"
    ),
    _openai(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        "https://modelstudio.console.alibabacloud.com",
        "DASHSCOPE_BASE_URL",
    ),
    _openai("nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", "https://build.nvidia.com"),
    _openai(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        "CLOUDFLARE_API_TOKEN",
        "https://dash.cloudflare.com/profile/api-tokens",
    ),
    Vendor(
        "azure",
        "{AZURE_OPENAI_ENDPOINT}/openai/v1",
        "openai",
        ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        (),
        "https://ai.azure.com",
        key_header="api-key",
        prices="openai",
    ),
    Vendor(
        "bedrock",
        "https://bedrock-runtime.{AWS_REGION}.amazonaws.com/openai/v1",
        "openai",
        ("AWS_BEARER_TOKEN_BEDROCK",),
        (),
        "https://console.aws.amazon.com/bedrock/home#/api-keys",
        prices="aws",
    ),
    Vendor(
        "vertex",
        "https://aiplatform.googleapis.com/v1/projects/{GOOGLE_CLOUD_PROJECT}/locations/global/endpoints/openapi",
        "openai",
        ("VERTEX_API_KEY",),
        (),
        "https://console.cloud.google.com/vertex-ai",
        prices="google",
    ),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1", "openai", (), (), "https://lmstudio.ai"),
    Vendor("llamacpp", "http://127.0.0.1:8080/v1", "openai", (), (), "https://github.com/ggml-org/llama.cpp"),
    Vendor("vllm", "http://127.0.0.1:8000/v1", "openai", (), (), "https://docs.vllm.ai"),
)

VENDORS: Mapping[str, Vendor] = {row.name: row for row in _ROWS}
"""The providers by name; the first one with a key supplies the default model."""

LOCAL = Vendor("local", "", "openai", (), (), "")
"""Model files on this machine: `base_url` is that of the process that is started for one."""

SERVERS = {"ollama": "Ollama", "lmstudio": "LM Studio", "llamacpp": "llama.cpp"}
"""Vendors whose local servers are detected, in this order, with the names of the programs."""


def configured_vendor(name: str, known: Vendor | None, said: Mapping[str, object]) -> Vendor | None:
    """Merge `[providers.NAME]` into the row of a provider.

    A provider that only the configuration knows needs a `base_url`; by default it uses OpenAI's protocol and the key in
    NAME_API_KEY. Returns None if neither knows it.
    """
    if known is None and "base_url" not in said:
        return None
    own_key = f"{re.sub('[^A-Z0-9]', '_', name.upper())}_API_KEY"
    vendor = known or Vendor(
        name, str(said["base_url"]), "openai", (own_key,), (), "", key_optional=True, prices=_owner_of(name, said)
    )
    changes: dict[str, object] = {}
    for key, field in (("protocol", "dialect"), ("max_tokens_field", "max_tokens"), ("prices", "prices")):
        if isinstance(value := said.get(key), str):
            changes[field] = value
    if isinstance(protocol := changes.get("dialect"), str):
        changes["pdf"] = protocol in ("anthropic", "gemini") or (vendor.pdf and protocol != "ollama")
    for key in ("headers", "query"):
        if isinstance(table := said.get(key), Mapping):
            changes[key] = tuple((str(name), str(value)) for name, value in table.items())
    if known is None and isinstance(variable := said.get("api_key_env"), str) and variable:
        changes |= {"key_env": (variable,), "key_optional": False}
    return replace(vendor, **changes) if changes else vendor  # type: ignore[arg-type]


def _owner_of(name: str, said: Mapping[str, object]) -> str:
    """Return whose prices apply to a provider that shares the address of a known one."""
    url = str(said.get("base_url", "")).rstrip("/")
    return next((row.name for row in _ROWS if "{" not in row.base_url and row.base_url == url), name)


def base_url_of(vendor: Vendor, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a vendor's base URL and the environment variable it came from (empty for the built-in one).

    An unset variable leaves its braces in the URL, which is then invalid.
    """
    for variable in vendor.base_url_env:
        if value := environ.get(variable, "").strip():
            return (ollama_url(value) if vendor.dialect == "ollama" else value), variable
    filled = re.sub(r"\{(\w+)\}", lambda found: environ.get(found[1], found[0]).strip().rstrip("/"), vendor.base_url)
    return filled, ""


def ollama_url(host: str) -> str:
    """Convert OLLAMA_HOST to a URL: scheme, port and host are optional, and a listening address means this machine."""
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
"""The built-in models with their descriptions."""
