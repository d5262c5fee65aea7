"""Model names resolve to a provider, and no API key goes where the user did not send it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.config.api_keys import Keyring
from llmrepl.config.settings import Settings
from llmrepl.errors import WRONG, UsageError
from llmrepl.models.resolver import ModelResolver
from llmrepl.providers.vendors import VENDORS
from llmrepl.system.files import write_private
from llmrepl.system.paths import Paths

MINE, THEIRS = "sk-mine", "sk-from-env-file"
EVIL = "http://127.0.0.1:9/evil"


@dataclass
class Home:
    """A user with a home and a working directory."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.paths = Paths.find({"HOME": str(self.root / "home")})
        self.cwd = self.root / "project"
        self.cwd.mkdir()
        self.env_file, self.project_file = self.cwd / ".env", self.cwd / ".llm.toml"

    def has(self, *, config: str = "", env_file: str = "", project: str = "", **environ: str) -> Home:
        """Return the same user with these files and variables."""
        for file, text in ((self.paths.config_file, config), (self.env_file, env_file), (self.project_file, project)):
            if text:
                write_private(file, text.encode())
        self.environ |= environ
        return self

    def resolver(self, local: str | None = None) -> ModelResolver:
        found = Settings.load(self.environ, self.cwd, self.paths)
        return ModelResolver(
            found,
            self.environ,
            self.cwd,
            self.paths,
            local=lambda: local,
            default=lambda provider: f"default-of-{provider}",
        )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_vendor_with_a_key_is_asked_itself(home: Home) -> None:
    resolved = (
        home.has(OPENAI_API_KEY=MINE, OPENROUTER_API_KEY="sk-or").resolver().resolve_with_key("openai/gpt-4o-mini")
    )
    assert (resolved.provider, resolved.model, resolved.shown) == ("openai", "gpt-4o-mini", "openai/gpt-4o-mini")
    assert (resolved.base_url, resolved.url_from) == ("https://api.openai.com/v1", "")
    assert resolved.key and (resolved.key.value, resolved.key.origin) == (MINE, "OPENAI_API_KEY")
    assert MINE not in repr(resolved)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("gemini/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("google/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("x-ai/grok-4", "x-ai/grok-4"),
        ("openrouter/meta-llama/llama-4", "meta-llama/llama-4"),
    ],
)
def test_without_a_vendor_key_openrouter_is_asked(name: str, model: str, home: Home) -> None:
    resolved = home.has(OPENROUTER_API_KEY="sk-or").resolver().resolve_with_key(name)
    assert (resolved.provider, resolved.model, resolved.shown) == ("openrouter", model, name)
    assert resolved.key and resolved.key.value == "sk-or"


def test_a_vendor_at_an_address_of_the_users_is_not_left_for_openrouter(home: Home) -> None:
    home.has(OPENROUTER_API_KEY="sk-or", OPENAI_BASE_URL="http://127.0.0.1:8080/v1")
    assert home.resolver().resolve_with_key("openai/gpt-4o-mini").provider == "openai"


def test_openrouter_is_openrouter_even_with_the_vendors_key(home: Home) -> None:
    resolved = (
        home.has(OPENAI_API_KEY=MINE, OPENROUTER_API_KEY="sk-or")
        .resolver()
        .resolve_with_key("openrouter/openai/gpt-4o")
    )
    assert (resolved.provider, resolved.model) == ("openrouter", "openai/gpt-4o")
    assert resolved.key and resolved.key.value == "sk-or"


def test_a_missing_key_matters_only_when_a_prompt_is_sent(home: Home) -> None:
    resolver = home.resolver()
    assert resolver.resolve("openai/gpt-4o-mini").provider == "openai"
    with pytest.raises(UsageError) as missing:
        resolver.resolve_with_key("openai/gpt-4o-mini")
    assert missing.value.code == WRONG
    assert "OPENAI_API_KEY" in missing.value.hint and "llm keys set openai" in missing.value.hint


def test_a_local_server_needs_no_key(home: Home) -> None:
    assert home.resolver().resolve_with_key("ollama/llama3").key is None
    local = home.has(OPENAI_BASE_URL="http://127.0.0.1:8080/v1").resolver().resolve_with_key("openai/gpt-4o-mini")
    assert (local.base_url, local.url_from, local.key) == ("http://127.0.0.1:8080/v1", "OPENAI_BASE_URL", None)


def test_the_built_in_models(home: Home) -> None:
    resolver = home.resolver()
    assert (resolver.resolve_with_key("offline").shown, resolver.resolve_with_key("offline/").model) == (
        "offline/guide",
        "guide",
    )
    echo = resolver.resolve_with_key("offline/echo")
    assert (echo.provider, echo.model, echo.vendor, echo.key) == ("offline", "echo", None, None)


def test_an_alias_is_the_name_it_stands_for(home: Home) -> None:
    resolver = home.has(config='[aliases]\nfast = "openai/gpt-4o-mini"\n"a/b" = "offline/echo"').resolver()
    assert (resolver.resolve("fast").shown, resolver.resolve("fast").model) == ("openai/gpt-4o-mini", "gpt-4o-mini")
    assert resolver.resolve("a/b").shown == "offline/echo"


def test_a_server_of_the_users_own(home: Home) -> None:
    config = '[providers.mine]\nbase_url = "https://llm.example/v1/"\napi_key_env = "MY_KEY"'
    resolved = home.has(config=config, MY_KEY=MINE).resolver().resolve_with_key("mine/team/model")
    assert (resolved.provider, resolved.model, resolved.base_url) == ("mine", "team/model", "https://llm.example/v1")
    assert resolved.key and resolved.key.origin == "MY_KEY"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("opnai/gpt-4o", "Did you mean 'openai/gpt-4o'?"),
        ("OpenAI/gpt-4o", "Did you mean 'openai/gpt-4o'?"),
        ("nobody/x", "llm keys list shows the providers"),
        ("nope/x", "llm keys list shows the providers"),
        ("openai/", "such as openai/gpt-4o-mini"),
        ("", "such as openai/gpt-4o-mini"),
        ("fats", "Did you mean 'fast'?"),
        ("opnai", "Did you mean 'openai/MODEL'?"),
        ("/x", "llm keys list shows the providers"),
        ("nourl/x", "set providers.nourl.base_url"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, said: str, home: Home) -> None:
    resolver = home.has(config='[aliases]\nfast = "openai/x"\n[providers.nourl]\napi_key_env = "K"').resolver()
    with pytest.raises(UsageError) as unknown:
        resolver.resolve(name)
    assert said in unknown.value.hint


def test_the_default_model(home: Home) -> None:
    assert home.resolver().default_model() == "offline/guide"
    assert home.resolver(local="ollama/llama3").default_model() == "ollama/llama3"
    home.has(GEMINI_API_KEY=MINE)
    assert home.resolver(local="ollama/llama3").default_model() == "gemini/default-of-gemini"
    home.has(OPENROUTER_API_KEY=MINE)
    assert home.resolver().default_model() == "openrouter/default-of-openrouter"
    home.has(config='default_model = "fast"\n[aliases]\nfast = "offline/echo"')
    assert home.resolver().default_model() == "offline/echo"
    assert home.has(LLM_MODEL="mistral/x").resolver().default_model() == "mistral/x"


def test_where_a_key_comes_from_and_in_which_order(home: Home) -> None:
    def origin() -> str:
        key = home.resolver().resolve_with_key("gemini/x").key
        assert key and home.resolver().key_origin("gemini") == key.origin
        return key.origin

    home.has(config='[providers.gemini]\napi_key_cmd = "/bin/echo sk-cmd"')
    assert origin() == "api_key_cmd of gemini"
    Keyring(home.paths.keys_file).set("gemini", MINE)
    assert origin() == str(home.paths.keys_file)
    home.has(env_file=f"GOOGLE_API_KEY={THEIRS}")
    assert origin() == f"GOOGLE_API_KEY in {home.env_file}"
    home.has(GOOGLE_API_KEY=MINE)
    assert origin() == "GOOGLE_API_KEY"
    home.has(GEMINI_API_KEY=MINE)
    assert origin() == "GEMINI_API_KEY"
    home.has(config='[providers.gemini]\napi_key_env = "WORK_KEY"', WORK_KEY=MINE)
    assert origin() == "WORK_KEY"


def test_asking_where_a_key_is_runs_no_command(home: Home) -> None:
    resolver = home.has(config=f'[providers.openai]\napi_key_cmd = "touch {home.root}/ran"').resolver()
    assert resolver.key_origin("openai") and resolver.default_model() == "openai/default-of-openai"
    resolver.resolve("openai/x")
    assert not (home.root / "ran").exists()


def test_the_environment_names_the_address_before_the_configuration(home: Home) -> None:
    home.has(config='[providers.openai]\nbase_url = "https://config/v1"', OPENAI_API_KEY=MINE)
    assert home.resolver().resolve_with_key("openai/x").base_url == "https://config/v1"
    resolved = home.has(OPENAI_BASE_URL="https://environment/v1").resolver().resolve_with_key("openai/x")
    assert (resolved.base_url, resolved.url_from) == ("https://environment/v1", "OPENAI_BASE_URL")
    assert resolved.key and resolved.key.value == MINE


@pytest.mark.parametrize("url", ["http://192.0.2.1/v1", "ftp://x", "nonsense", "https://u:p@x", "http://[", ""])
def test_an_unsafe_address_is_refused_before_anything_is_sent(url: str, home: Home) -> None:
    config = f'[providers.mine]\nbase_url = "{url}"\napi_key_cmd = "touch {home.root}/ran"'
    with pytest.raises(UsageError, match="base_url"):
        home.has(config=config).resolver().resolve_with_key("mine/x")
    assert not (home.root / "ran").exists()


BASE_URLS = [(name, vendor.name) for vendor in VENDORS.values() for name in vendor.base_url_env]


@pytest.mark.parametrize(("variable", "vendor"), BASE_URLS)
def test_an_address_in_the_env_file_stops_the_request_and_is_named(variable: str, vendor: str, home: Home) -> None:
    home.has(env_file=f"export {variable}={EVIL}", **dict.fromkeys(VENDORS[vendor].key_env, MINE))
    with pytest.raises(UsageError) as refused:
        home.resolver().resolve_with_key(f"{vendor}/x")
    assert str(home.env_file) in refused.value.message and variable in refused.value.message
    assert EVIL not in home.resolver().resolve(f"{vendor}/x").base_url


@pytest.mark.parametrize(
    ("project", "named"),
    [
        (f'[providers.openai]\nbase_url = "{EVIL}"', "providers.openai.base_url"),
        (f'base_url = "{EVIL}"', "base_url"),
        (f'OPENAI_BASE_URL = "{EVIL}"', "OPENAI_BASE_URL"),
        (f'providers = {{openai = {{base_url = "{EVIL}"}}}}', "providers.openai.base_url"),
    ],
)
def test_an_address_in_the_project_file_stops_the_request_and_is_named(project: str, named: str, home: Home) -> None:
    resolver = home.has(project=project, OPENAI_API_KEY=MINE).resolver()
    with pytest.raises(UsageError) as refused:
        resolver.resolve_with_key("openai/x")
    assert str(home.project_file) in refused.value.message and named in refused.value.message


def test_a_project_cannot_bring_a_provider_of_its_own(home: Home) -> None:
    project = f'default_model = "evil/x"\n[providers.evil]\nbase_url = "{EVIL}"\napi_key_env = "OPENAI_API_KEY"'
    resolver = home.has(project=project, OPENAI_API_KEY=MINE).resolver()
    with pytest.raises(UsageError, match="There is no provider 'evil'"):
        resolver.resolve_with_key(resolver.default_model())


def test_an_address_that_the_user_chose_is_not_stopped(home: Home) -> None:
    home.has(env_file=f"OPENAI_BASE_URL={EVIL}", OPENAI_BASE_URL="https://mine/v1", OPENAI_API_KEY=MINE)
    assert home.resolver().resolve_with_key("openai/x").base_url == "https://mine/v1"
    assert (
        home.has(ANTHROPIC_API_KEY=MINE).resolver().resolve_with_key("anthropic/x").base_url
        == "https://api.anthropic.com"
    )


some = st.none() | st.sampled_from(["https://mine.example/v1", EVIL])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(urls=st.tuples(some, some, some, some), keys=st.tuples(*[st.booleans()] * 3))
def test_a_key_goes_only_where_it_may(
    urls: tuple[str | None, ...], keys: tuple[bool, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The base URL is the user's or built in, whatever is set, and the key of .env goes only to the built-in one."""
    home = Home(tmp_path_factory.mktemp("home"))
    environment, config, in_env_file, project = urls
    lines = [f"OPENAI_BASE_URL={in_env_file}"] * bool(in_env_file) + [f"OPENAI_API_KEY={THEIRS}"] * keys[1]
    home.has(
        config=f'[providers.openai]\nbase_url = "{config}"' if config else "",
        env_file="\n".join(lines),
        project=f'[providers.openai]\nbase_url = "{project}"' if project else "",
        **({"OPENAI_BASE_URL": environment} if environment else {}),
        **({"OPENAI_API_KEY": MINE} if keys[0] else {}),
    )
    if keys[2]:
        Keyring(home.paths.keys_file).set("openai", "sk-ring")
    theirs = VENDORS["openai"].base_url
    wanted = environment or config or theirs
    values = [MINE] * keys[0] + [THEIRS] * (keys[1] and wanted == theirs) + ["sk-ring"] * keys[2]
    try:
        resolved = home.resolver().resolve_with_key("openai/x")
    except UsageError as refused:
        redirected = wanted == theirs and (in_env_file or project)
        assert redirected or not values, refused
        return
    assert resolved.base_url == wanted
    assert (resolved.key.value if resolved.key else None) == next(iter(values), None)


SPEND_OR_RUN = [
    "LLM_MODEL=openai/x",
    "LLM_SESSION_BUDGET=1000",
    "LLM_ALLOW_HTTP=1",
    "LLM_SESSIONS_DIR=/tmp",
    "EDITOR=evil",
    f"HTTPS_PROXY={EVIL}",
    "SSL_CERT_FILE=evil",
    "PYTHONPATH=evil",
    "LD_PRELOAD=evil",
    "XDG_CONFIG_HOME=/x",
]


def test_an_env_file_gives_keys_and_nothing_else(home: Home) -> None:
    before = dict(home.has(OPENAI_API_KEY=MINE).environ)
    plain = Settings.load(home.environ, home.cwd, home.paths)
    home.has(env_file="\n".join(SPEND_OR_RUN))
    after = Settings.load(home.environ, home.cwd, home.paths)
    assert [after.get(row.key) for row in after.rows()] == [plain.get(row.key) for row in plain.rows()]
    assert home.resolver().resolve_with_key("openai/x").base_url == VENDORS["openai"].base_url
    assert home.environ == before


def test_an_env_file_that_others_can_write_gives_no_key_and_takes_none(home: Home) -> None:
    home.has(env_file=f"OPENAI_API_KEY={THEIRS}\nOPENAI_BASE_URL={EVIL}")
    home.env_file.chmod(0o666)
    with pytest.raises(UsageError, match="others can write to it"):
        home.resolver().resolve_with_key("openai/x")
    Keyring(home.paths.keys_file).set("openai", MINE)
    resolved = home.resolver().resolve_with_key("openai/x")
    assert resolved.base_url == VENDORS["openai"].base_url and resolved.key and resolved.key.value == MINE


def test_an_env_file_gives_only_variables_that_are_known_to_hold_keys(home: Home) -> None:
    home.has(config='[providers.openai]\napi_key_env = "WORK_KEY"', env_file=f"WORK_KEY={THEIRS}\nOPENAI_API_KEY=x")
    with pytest.raises(UsageError, match=r"There is no key for openai\..*WORK_KEY"):
        home.resolver().resolve_with_key("openai/x")


def test_parents_are_not_searched_for_keys(home: Home) -> None:
    home.has(env_file=f"OPENAI_API_KEY={THEIRS}")
    home.cwd = home.cwd / "below"
    home.cwd.mkdir()
    with pytest.raises(UsageError, match="There is no key for openai"):
        home.resolver().resolve_with_key("openai/x")


PLACES = {
    "CLOUDFLARE_ACCOUNT_ID": "a",
    "AZURE_OPENAI_ENDPOINT": "https://a.openai.azure.com/",
    "AWS_REGION": "eu-west-1",
    "GOOGLE_CLOUD_PROJECT": "p",
}
"""What some addresses need."""


def test_an_address_with_a_hole_is_not_used(home: Home) -> None:
    with pytest.raises(UsageError, match="needs AZURE_OPENAI_ENDPOINT"):
        home.has(AZURE_OPENAI_API_KEY=MINE).resolver().resolve_with_key("azure/gpt")


def test_a_key_of_one_vendor_is_not_sent_to_another(home: Home) -> None:
    variables = {name: f"sk-{vendor.name}" for vendor in VENDORS.values() for name in vendor.key_env}
    resolver = home.has(**variables, **PLACES).resolver()
    for vendor, model in product(VENDORS, ("x", "openai/x")):
        key = resolver.resolve_with_key(f"{vendor}/{model}").key
        assert (key.value if key else None) == (f"sk-{vendor}" if VENDORS[vendor].key_env else None)
