"""Resolve a model name to provider, model, address and key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from llmrepl.config.api_keys import Key, Keyring, read_env_file, run_key_command
from llmrepl.config.settings import PROJECT_FILE, Settings
from llmrepl.errors import UsageError
from llmrepl.formatting import closest_match, escape_name
from llmrepl.providers.local.model_file import SUFFIX, check_file, check_installed, locate
from llmrepl.providers.urls import check_url, display_url, is_loopback, split_query
from llmrepl.providers.vendors import LOCAL, OFFLINE_MODELS, SERVERS, VENDORS, Vendor, base_url_of, configured_vendor
from llmrepl.system.paths import Paths

OFFLINE = "offline"
GUIDE = "offline/guide"

ATTRIBUTION = {"OPENROUTER_HTTP_REFERER": "HTTP-Referer", "OPENROUTER_X_TITLE": "X-Title"}
"""Variables, also of a `.env` file, whose values go to OpenRouter as these headers."""

FAMILIES = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude-": "anthropic",
    "gemini-": "gemini",
}
"""Provider of a model named without one, by prefix: `gpt-4` is `openai/gpt-4`."""

_AT_OPENROUTER = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "mistral": "mistralai",
    "deepseek": "deepseek",
    "xai": "x-ai",
}
_SAME = {theirs: ours for ours, theirs in _AT_OPENROUTER.items() if theirs != ours}


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """What a name refers to: `shown` is its name in sessions, `model` the provider's name for it.

    `vendor` is None for built-in models. `url_from` is the origin of `base_url`, empty for the vendor's own.
    """

    shown: str
    model: str
    vendor: Vendor | None
    base_url: str = ""
    url_from: str = ""
    key: Key | None = None

    @property
    def address(self) -> str:
        """`base_url` without query and password, for display."""
        return display_url(self.base_url)

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return self.vendor.name if self.vendor else OFFLINE


class ModelResolver:
    """Resolves names with the user's settings and keys, which are read each time.

    Files in the working directory only supply keys, and only for a vendor's own address. `local` returns a model of a
    running local server, `default` the default model of a provider.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        cwd: Path,
        paths: Paths,
        *,
        vendors: Mapping[str, Vendor] = VENDORS,
        local: Callable[[], str | None] = lambda: None,
        default: Callable[[str], str | None] = lambda provider: None,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._cwd = cwd
        self._env_file = cwd / ".env"
        self._project_file = cwd / PROJECT_FILE
        self._paths = paths
        self._keyring = Keyring(paths.keys_file)
        self._vendors = vendors
        self._local = local
        self._default = default

    def default_model(self) -> str:
        """Return the model of a new session: configured, of a vendor with a key, local, or the guide.

        An invalid configured name is returned unchanged; resolving it reports the error.
        """
        if name := self._settings.text("default_model"):
            return self._settings.aliases.get(name, name)
        if (provider := self.default_provider()) and (model := self._default(provider)):
            return f"{provider}/{model}"
        return self._local() or GUIDE

    def is_unconfigured(self) -> bool:
        """Whether there is neither a configured model nor a key."""
        return not self._settings.text("default_model") and self.default_provider() is None

    def default_provider(self) -> str | None:
        """Return the first provider with a key and a known default model, else the first with a key.

        None if a model is configured.
        """
        if self._settings.text("default_model"):
            return None
        with_key = [name for name, vendor in self._vendors.items() if vendor.key_env and self._has_key(vendor)]
        return next((name for name in with_key if self._default(name)), next(iter(with_key), None))

    def providers(self) -> list[str]:
        """Return the names of all providers, configured ones last."""
        configured = [name for name, said in self._settings.providers.items() if "base_url" in said]
        return [OFFLINE, *dict.fromkeys([*self._vendors, *configured])]

    def resolve(self, name: str) -> ResolvedModel:
        """Resolve `provider/model` or an alias, without the key. Raises UsageError for an unknown provider."""
        shown = self._settings.aliases.get(name, name)
        if "/" not in shown and shown.startswith(tuple(FAMILIES)):
            shown = f"{next(maker for family, maker in FAMILIES.items() if shown.startswith(family))}/{shown}"
        head, slash, model = shown.partition("/")
        if head == OFFLINE:
            model = model or GUIDE.partition("/")[2]
            if model not in OFFLINE_MODELS:
                known = " or ".join(f"{OFFLINE}/{name}" for name in OFFLINE_MODELS)
                raise UsageError(f"{OFFLINE} has no model {escape_name(model)}.", f"Choose {known}")
            return ResolvedModel(f"{OFFLINE}/{model}", model, None)
        if not slash or not model:
            raise self._unknown(shown)
        if self.is_file(head, model):
            return ResolvedModel(shown, str(locate(model, self._cwd, self._paths.home)), LOCAL)
        vendor = self.vendor(head) or self.vendor(_SAME.get(head, ""))
        if vendor is None:
            raise self._unknown(shown)
        resolved = self._at(vendor, shown, model)
        router = self._vendors.get("openrouter")
        if router and vendor.name in _AT_OPENROUTER and not resolved.url_from and not self._has_key(vendor):
            detour = self._at(router, shown, f"{_AT_OPENROUTER[vendor.name]}/{model}")
            return detour if self._has_key(router) else resolved
        return resolved

    def is_model_name(self, word: str) -> bool:
        """Whether a word has the form of a model's name: `provider/model`, an alias, or a known family such as gpt-."""
        return "/" in word.strip("/") or word in self._settings.aliases or word.startswith(tuple(FAMILIES))

    def is_file(self, provider: str, model: str) -> bool:
        """Whether a name means a model file: `local/FILE`, unless the configuration has another provider `local`."""
        return provider == LOCAL.name and (model.lower().endswith(SUFFIX) or self.vendor(provider) is None)

    def resolve_with_key(self, name: str) -> ResolvedModel:
        """Resolve a name including the key, for a request.

        Raises UsageError also for a missing key, an unsafe address, or if a file in the working directory redirects the
        provider to another address: nothing is sent then, to either address.
        """
        return self._with_key(self.resolve(name))

    def vendor(self, name: str) -> Vendor | None:
        """Return the row of a known or configured provider, or None."""
        vendor = configured_vendor(name, self._vendors.get(name), self._settings.providers.get(name, {}))
        return self._with_attribution(vendor) if vendor and name == "openrouter" else vendor

    def _with_attribution(self, vendor: Vendor) -> Vendor:
        """Add the headers that tell OpenRouter which app asks (openrouter.ai/docs/app-attribution)."""
        file = self._in_env_file()
        said = {name: self._environ.get(name) or file.get(name, "") for name in ATTRIBUTION}
        own = dict(vendor.headers)
        added = [(header, said[name]) for name, header in ATTRIBUTION.items() if said[name] and header not in own]
        return replace(vendor, headers=(*vendor.headers, *added)) if added else vendor

    def locate(self, provider: str) -> ResolvedModel:
        """Return the address of a provider, without the key. Raises UsageError if it is unknown."""
        vendor = self.vendor(provider)
        if vendor is None:
            raise self._unknown(f"{provider}/MODEL")
        return self._at(vendor, provider, "")

    def locate_with_key(self, provider: str) -> ResolvedModel:
        """Return the address of a provider with the key, for listing models.

        Raises UsageError as `resolve_with_key` does.
        """
        return self._with_key(self.locate(provider))

    def listable_providers(self) -> list[str]:
        """Return the providers whose models can be listed: those with a key or a configured address."""
        rows = {name: self.vendor(name) for name in self.providers() if name != OFFLINE}
        return [
            name
            for name, vendor in rows.items()
            if vendor and (self._has_key(vendor) or self._at(vendor, name, "").url_from)
        ]

    def local_servers(self) -> dict[Vendor, str]:
        """Return the vendors whose servers run locally, with their addresses."""
        if not self._settings.flag("local_servers"):
            return {}
        sites = {vendor: self._at(vendor, "", "").base_url for name in SERVERS if (vendor := self._vendors.get(name))}
        return {vendor: url for vendor, url in sites.items() if _is_here(url)}

    def _with_key(self, resolved: ResolvedModel) -> ResolvedModel:
        vendor = resolved.vendor
        if vendor is None:
            return resolved
        if vendor is LOCAL:
            check_file(Path(resolved.model))
            check_installed()
            return resolved
        own_address = not resolved.url_from
        if own_address:
            self._refuse_redirection(vendor)
        url, query = split_query(resolved.base_url)
        if missing := re.search(r"\{(\w+)\}", url):
            raise UsageError(
                f"The address of {vendor.name} needs {missing[1]}.",
                f"set {missing[1]}, or providers.{vendor.name}.base_url in {self._paths.config_file}",
            )
        url = check_url(url, allow_http=self._settings.flag("allow_http"))
        key = self._key(vendor, own_address=own_address)
        needs_key = vendor.key_env and not vendor.key_optional
        if key is None and needs_key and not is_loopback(urlsplit(url).hostname or ""):
            raise self._missing(vendor, own_address=own_address)
        return replace(resolved, base_url=f"{url}?{urlencode(query)}" if query else url, key=key)

    def key_origin(self, provider: str) -> str:
        """Return the origin of a provider's key, empty if there is none. Runs no command."""
        vendor = self.vendor(provider)
        return self._origin(vendor) if vendor else ""

    def _at(self, vendor: Vendor, shown: str, model: str) -> ResolvedModel:
        """Return the vendor's address: from the environment, the configuration, or the built-in one."""
        url, source = base_url_of(vendor, self._environ)
        configured = self._settings.providers.get(vendor.name, {}).get("base_url")
        if configured and not source:
            url, source = configured, f"providers.{vendor.name}.base_url"
        return ResolvedModel(shown, model, vendor, url, source)

    def _variables(self, vendor: Vendor) -> tuple[str, ...]:
        """Return the environment variables for the key; configured ones replace the built-in ones."""
        configured = self._settings.providers.get(vendor.name, {}).get("api_key_env")
        return (configured,) if configured else vendor.key_env

    def _has_key(self, vendor: Vendor) -> bool:
        return bool(self._origin(vendor))

    def _origin(self, vendor: Vendor) -> str:
        try:
            key = self._stored_key(vendor, own_address=not self._at(vendor, "", "").url_from)
        except UsageError:  # an unreadable keyring is reported when the key is needed
            key = None
        if key:
            return key.origin
        return f"api_key_cmd of {vendor.name}" if self._command(vendor) else ""

    def _command(self, vendor: Vendor) -> str | None:
        return self._settings.providers.get(vendor.name, {}).get("api_key_cmd")

    def _key(self, vendor: Vendor, *, own_address: bool) -> Key | None:
        key = self._stored_key(vendor, own_address=own_address)
        command = self._command(vendor)
        if key is None and command:
            return run_key_command(command, vendor.name, self._environ, self._paths.home)
        return key

    def _stored_key(self, vendor: Vendor, *, own_address: bool) -> Key | None:
        """Return the key from the environment, the working directory's .env, or the keyring.

        The .env file counts only for the vendor's own address.
        """
        variables = self._variables(vendor)
        for variable in variables:
            if value := self._environ.get(variable, "").strip():
                return Key(value, variable)
        found = self._in_env_file() if own_address else {}
        for variable in (name for name in variables if name in vendor.key_env):
            if found.get(variable):
                return Key(found[variable], f"{variable} in {self._env_file}")
        return self._keyring.get(vendor.name)

    def _in_env_file(self) -> dict[str, str]:
        try:
            return read_env_file(self._env_file)
        except UsageError:  # an untrusted file is ignored unless a key is missing
            return {}

    def _missing(self, vendor: Vendor, *, own_address: bool) -> UsageError:
        if own_address:
            read_env_file(self._env_file)  # raises the reason if it was not read
        page = f" (keys are made at {vendor.keys_page})" if vendor.keys_page else ""
        return UsageError(
            f"There is no key for {vendor.name}.",
            f"llm keys set {vendor.name} saves one{page}, or set {self._variables(vendor)[0]}",
        )

    def _refuse_redirection(self, vendor: Vendor) -> None:
        forbidden = {"base_url", f"providers.{vendor.name}.base_url", *vendor.base_url_env}
        redirections = [(self._env_file, name) for name in self._in_env_file() if name in vendor.base_url_env]
        redirections += [(self._project_file, name) for name in self._settings.refused if name in forbidden]
        for file, name in redirections:
            raise UsageError(
                f"{file} sets {name}, but a file in the working directory may not say where your key goes; "
                "nothing was sent",
                f"remove it there, or set base_url for {vendor.name} in {self._paths.config_file}",
            )

    def _unknown(self, name: str) -> UsageError:
        head, slash, model = name.partition("/")
        if not slash:
            near = closest_match(name.lower(), [*self._settings.aliases, *self.providers()], 0.75)
            provider = near not in self._settings.aliases
            advice = (
                f"Did you mean '{near}{'/MODEL' if provider else ''}'?"
                if near
                else "Write it as provider/model, such as openai/gpt-4o-mini: llm models list shows them"
            )
            return UsageError(f"'{escape_name(name)}' is neither provider/model nor an alias.", advice)
        if not model and head == LOCAL.name:
            return UsageError("Name a model file after local/.", "For example local/models/qwen3.gguf")
        if not model:
            return UsageError(
                f"'{escape_name(name)}' names no model.", "Write it as provider/model, such as openai/gpt-4o-mini"
            )
        if head in self._settings.providers:
            return UsageError(
                f"the provider '{head}' has no address", f"set providers.{head}.base_url in {self._paths.config_file}"
            )
        near = closest_match(head.lower(), self.providers(), 0.75)
        advice = f"Did you mean '{near}/{model}'?" if near else "llm keys list shows the providers"
        return UsageError(f"There is no provider '{escape_name(head)}'.", advice)


def _is_here(url: str) -> bool:
    """Whether a URL is that of a server on this machine; an invalid one is not."""
    try:
        check_url(url, allow_http=True)
    except UsageError:
        return False
    return url.startswith("http://") and is_loopback(urlsplit(url).hostname or "")
