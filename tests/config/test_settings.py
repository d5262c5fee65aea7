"""The layers of settings, and messages about values that cannot be used."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.config.config_file import write_setting
from llmrepl.config.settings import Settings
from llmrepl.config.settings_table import SETTINGS, Setting, Value
from llmrepl.errors import UsageError
from llmrepl.system.files import private_mkdir, write_private
from llmrepl.system.paths import Paths, read_own


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.find({"HOME": str(tmp_path / "home")})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def user(paths: Paths, text: str) -> None:
    write_private(paths.config_file, text.encode())


def theirs(project: Path, text: str) -> Path:
    file = project / ".llm.toml"
    write_private(file, text.encode())
    return file


def load(paths: Paths, project: Path, overrides: dict[str, Value] | None = None, **environ: str) -> Settings:
    return Settings.load(environ, project, paths, overrides)


@pytest.mark.parametrize("key", ["default_system_prompt", "prompts.caf\udce9"])
def test_a_value_that_is_not_utf_8_is_refused(paths: Paths, key: str) -> None:
    with pytest.raises(UsageError, match="must be text in UTF-8"):
        write_setting(paths.config_file, key, "caf\udce9")
    assert not paths.config_file.exists()


def test_directories_follow_xdg_and_the_environment_wins() -> None:
    plain = Paths.find({"HOME": "/h"})
    assert plain.config_file == Path("/h/.config/llm/config.toml")
    assert (plain.state_dir, plain.cache_dir) == (Path("/h/.local/state/llm"), Path("/h/.cache/llm"))
    moved = Paths.find({"HOME": "/h", "XDG_CONFIG_HOME": "/x", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "relative"})
    assert (moved.config_dir, moved.state_dir) == (Path("/x/llm"), Path("/s/llm"))
    assert moved.cache_dir == Path("/h/.cache/llm")
    chosen = Paths.find({"HOME": "/h", "XDG_CONFIG_HOME": "/x", "LLM_CONFIG_DIR": "~/mine"})
    assert chosen.config_dir == Path("/h/mine")


LAYERS = ("config", "project", "environment", "command line")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(st.sampled_from(LAYERS)))
def test_the_strongest_source_counts(given_by: set[str]) -> None:
    with TemporaryDirectory() as directory:
        paths, project = Paths.find({"HOME": f"{directory}/home"}), Path(directory)
        if "config" in given_by:
            user(paths, 'default_model = "config"')
        if "project" in given_by:
            theirs(project, 'default_model = "project"')
        environ = {"LLM_MODEL": "environment"} if "environment" in given_by else {}
        word = "command line" if "command line" in given_by else None
        found = Settings.load(environ, project, paths, {"default_model": word})
    strongest = next((layer for layer in reversed(LAYERS) if layer in given_by), None)
    sources = {
        None: "default",
        "config": str(paths.config_file),
        "project": ".llm.toml",
        "environment": "LLM_MODEL",
        "command line": "command line",
    }
    assert found.text("default_model") == (strongest or "")
    assert found.source("default_model") == sources[strongest]
    assert found.problems == []


amount = st.none() | st.floats(0, 100, allow_nan=False).map(lambda usd: round(usd, 2))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(mine=amount, wanted=amount, environment=amount)
def test_a_project_only_lowers_a_budget(mine: float | None, wanted: float | None, environment: float | None) -> None:
    with TemporaryDirectory() as directory:
        paths, project = Paths.find({"HOME": f"{directory}/home"}), Path(directory)
        user(paths, "" if mine is None else f"default_budget = {mine}")
        theirs(project, "" if wanted is None else f"default_budget = {wanted}")
        environ = {} if environment is None else {"LLM_SESSION_BUDGET": str(environment)}
        found = Settings.load(environ, project, paths)
    least = min((usd for usd in (mine, wanted) if usd is not None), default=None)
    assert found.number("default_budget") == (least if environment is None else environment)
    raised = mine is not None and wanted is not None and wanted > mine
    assert [("only lower default_budget" in problem) for problem in found.problems] == [True] * raised


def test_a_project_cannot_switch_a_budget_off(paths: Paths, project: Path) -> None:
    user(paths, "daily_budget = 2")
    theirs(project, 'daily_budget = "off"')
    assert load(paths, project).number("daily_budget") == 2


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.key)
def test_each_key_has_its_variable_and_its_place_in_the_file(row: Setting, paths: Paths, project: Path) -> None:
    kinds: dict[str, Value] = {"text": "x", "path": "x", "flag": not row.default, "number": 1.0, "count": 3}
    kinds |= {"effort": "high", "list": "a/b, c/d"}
    value = row.choices[-1] if row.choices else kinds[row.kind]
    toml = f'"{value}"' if isinstance(value, str) else str(value).lower()
    user(paths, f"{row.key} = {toml}")
    from_file = load(paths, project)
    assert (from_file.get(row.key), from_file.source(row.key)) == (value, str(paths.config_file))
    paths.config_file.unlink()
    variable = {"default_model": "LLM_MODEL", "session_dir": "LLM_SESSIONS_DIR", "default_budget": "LLM_SESSION_BUDGET"}
    name = variable.get(row.key, "LLM_" + row.key.upper())
    from_environment = Settings.load({name: str(value)}, project, paths)
    assert (from_environment.get(row.key), from_environment.source(row.key)) == (value, name)
    theirs(project, f"{row.key} = {toml}")
    allowed = ("default_model", "default_system_prompt", "session_dir", "default_budget", "daily_budget")
    assert (load(paths, project).source(row.key) == ".llm.toml") == (row.key in allowed)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("idle_timout = 3", "did you mean idle_timeout?"),
        ('idle_timeout = "soon"', "idle_timeout must be a number"),
        ("idle_timeout = 0", "idle_timeout must be a number"),
        ("idle_timeout = inf", "idle_timeout must be a number"),
        ("default_budget = -1", "default_budget must be a number"),
        ("default_budget = nan", "default_budget must be a number"),
        ("default_budget = true", "default_budget must be a number"),
        (f"default_budget = {'9' * 400}", "default_budget must be a number"),
        ("max_retries = 1.5", "max_retries must be a whole number"),
        ('show_costs = "maybe"', "show_costs must be true or false"),
        ('budget_at_limit = "explode"', "budget_at_limit must be stop or warn"),
        ("default_model = 3", "default_model must be text"),
        ('session_dir = ""', "session_dir must be a path"),
        ("aliases = 3", "aliases must be a table"),
        ("[aliases]\nfast = 3", "aliases.fast must be text"),
        ('[providers]\nopenai = "x"', "providers.openai must be a table"),
        ('[providers.openai]\nbase_ulr = "x"', "did you mean providers.openai.base_url?"),
        ('[prices."m"]\ninput = -1', "prices.m.input must be a number"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file(line: str, said: str, paths: Paths, project: Path) -> None:
    user(paths, f'default_system_prompt = "kept"\n{line}')
    found = load(paths, project)
    assert found.text("default_system_prompt") == "kept"
    assert len(found.problems) == 1 and str(paths.config_file) in found.problems[0] and said in found.problems[0]
    assert [found.get(row.key) for row in SETTINGS[2:]] == [row.default for row in SETTINGS[2:]]


def test_problems_are_reported_without_escape_codes(paths: Paths, project: Path) -> None:
    user(paths, '[prices."\u202ea/b"]\ninp = 1')
    [problem] = load(paths, project).problems
    assert "\u202e" not in problem and r"\u202ea/b" in problem


def test_a_bad_variable_leaves_the_next_source(paths: Paths, project: Path) -> None:
    user(paths, "idle_timeout = 7")
    found = load(paths, project, LLM_IDLE_TIMEOUT="soon", LLM_MODEL="")
    assert (found.number("idle_timeout"), found.source("default_model")) == (7, "default")
    assert len(found.problems) == 1 and "LLM_IDLE_TIMEOUT" in found.problems[0]


HOSTILE = [
    'a = "x"\nb = = 2',
    "a = " + "[" * 9_000,
    "a = \xff".encode("latin-1"),
    b"x" * 300_000,
    "a" + ".a" * 5_000 + " = 1",
    f"max_retries = {'9' * 5000}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=["syntax", "nested", "latin-1", "huge", "deep", "digits"])
def test_an_invalid_toml_file_is_reported_and_ignored(text: str | bytes, paths: Paths, project: Path) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    for file in (paths.config_file, project / ".llm.toml"):
        write_private(file, data)
        found = load(paths, project)
        assert len(found.problems) == 1 and str(file) in found.problems[0]
        assert found.display("default_model") == "not set"
        file.unlink()


def test_a_syntax_error_is_named_with_its_line(paths: Paths, project: Path) -> None:
    user(paths, "show_costs = true\n\nx = = 2")
    assert "line 3" in load(paths, project).problems[0]


@pytest.mark.parametrize(
    "text",
    [
        '[providers.openai]\nbase_url = "http://evil"',
        '[providers.openai]\napi_key_cmd = "touch x"',
        'api_key = "k"',
        "allow_http = true",
        '[aliases]\nfast = "evil/x"',
        'OPENAI_BASE_URL = "http://evil"',
        "max_retries = 20",
        '[prices."m"]\ninput = 0',
        'base_url = "http://evil"',
    ],
)
def test_a_project_sets_no_address_no_key_and_no_command(text: str, paths: Paths, project: Path) -> None:
    file = theirs(project, f'default_model = "openai/x"\n{text}')
    found = load(paths, project)
    assert found.text("default_model") == "openai/x"
    assert (found.providers, found.aliases, found.prices) == ({}, {}, {})
    assert len(found.problems) == 1 and str(file) in found.problems[0]
    assert {row.key for row in found.rows() if found.source(row.key) == ".llm.toml"} == {"default_model"}


def test_parents_of_the_project_are_not_read(paths: Paths, project: Path) -> None:
    theirs(project, 'default_model = "parent"')
    below = project / "below"
    below.mkdir()
    assert load(paths, below).source("default_model") == "default"


@pytest.mark.parametrize("plant", ["link", "dangling link", "fifo", "directory", "writable by others"])
def test_only_a_file_of_our_own_is_taken_from_the_project(
    plant: str, paths: Paths, project: Path, tmp_path: Path
) -> None:
    file, elsewhere = project / ".llm.toml", tmp_path / "elsewhere"
    elsewhere.write_text('default_model = "evil"')
    if plant == "link":
        file.symlink_to(elsewhere)
    elif plant == "dangling link":
        file.symlink_to(tmp_path / "nothing")
    elif plant == "fifo":
        os.mkfifo(file)
    elif plant == "directory":
        file.mkdir()
    else:
        file.write_text('default_model = "evil"')
        file.chmod(0o622)
    found = load(paths, project)
    assert found.text("default_model") == ""
    assert len(found.problems) == 1 and str(file) in found.problems[0]
    assert not (tmp_path / "nothing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    write_private(file, b"OPENAI_API_KEY=theirs")
    os.chown(file, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to another user"):
        read_own(file, 1000)


def test_tables_of_the_configuration(paths: Paths, project: Path) -> None:
    user(
        paths,
        '[aliases]\nfast = "openai/x"\n[prompts]\nreview = "Read this."\n'
        '[prices."openai/gpt-4.1"]\ninput = 2\ncache_read = 0.5\n[providers.mine]\nbase_url = "https://mine/v1"\n',
    )
    found = load(paths, project)
    assert found.problems == []
    assert (found.aliases, found.prompts) == ({"fast": "openai/x"}, {"review": "Read this."})
    assert found.prices == {"openai/gpt-4.1": {"input": 2.0, "cache_read": 0.5}}
    assert found.providers == {"mine": {"base_url": "https://mine/v1"}}
    assert found.get("prices.openai/gpt-4.1.input") == 2
    assert found.source("aliases.fast") == str(paths.config_file)


def test_set_changes_what_a_shell_may_change(paths: Paths, project: Path) -> None:
    found = load(paths, project, LLM_TEMPERATURE="1")
    found.set("temperature", "0.2")
    found.set("stream", "off")
    assert (found.number("temperature"), found.source("temperature")) == (0.2, "this shell")
    assert (found.flag("stream_responses"), found.display("stream")) == (False, "false")
    found.set("temperature", "off")
    assert (found.number("temperature"), found.display("temperature")) == (None, "off")
    for name, value, said in (
        ("temperature", "3", "from 0 to 2"),
        ("keys", "nano", "emacs or vi"),
        ("steam", "off", "Did you mean 'stream'"),
        ("session_dir", "/etc", "cannot change"),
    ):
        with pytest.raises(UsageError, match=said):
            found.set(name, value)
    assert found.text("keys") == "emacs"


def test_a_bad_word_on_the_command_line_is_wrong_use(paths: Paths, project: Path) -> None:
    with pytest.raises(UsageError, match="default_budget must be a number"):
        load(paths, project, {"default_budget": "much"})


@pytest.mark.usefixtures("no_umask")
def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    private_mkdir(tmp_path / "a" / "b")
    write_private(tmp_path / "c" / "d", b"x")
    write_setting(tmp_path / "e" / "config.toml", "show_costs", "no")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"a": 0o700, "b": 0o700, "c": 0o700, "d": 0o600, "e": 0o700, "config.toml": 0o600}


def test_writing_a_setting_keeps_comments_and_round_trips(paths: Paths, project: Path) -> None:
    user(paths, '# mine\ndefault_model = "a/b"  # for now\n\n[aliases]\nold = "x/y"  # stays\n')
    for key, value in (
        ("default_model", "c/d"),
        ("default_budget", "1.5"),
        ("show_costs", "off"),
        ("aliases.fast", "openai/x"),
        ("providers.groq.base_url", "https://g/v1"),
        ("prices.openai/gpt-4.1.input", "2"),
        ("daily_budget", "off"),
    ):
        write_setting(paths.config_file, key, value)
    text = paths.config_file.read_text()
    assert "# mine" in text and "# for now" in text and "# stays" in text
    found = load(paths, project)
    assert found.problems == []
    assert (found.text("default_model"), found.number("default_budget")) == ("c/d", 1.5)
    assert not found.flag("show_costs")
    assert found.aliases == {"old": "x/y", "fast": "openai/x"}
    assert found.providers == {"groq": {"base_url": "https://g/v1"}}
    assert found.prices == {"openai/gpt-4.1": {"input": 2.0}}
    write_setting(paths.config_file, "default_budget", "off")
    assert load(paths, project).source("default_budget") == "default"


def test_a_setting_stands_on_a_line_of_its_own(paths: Paths, project: Path) -> None:
    user(paths, "prices.m.input=1")
    write_setting(paths.config_file, "temperature", "0.5")
    found = load(paths, project)
    assert (found.problems, found.number("temperature"), found.prices) == ([], 0.5, {"m": {"input": 1.0}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default_bugdet", "1"),
        ("default_budget", "much"),
        ("providers.x", "y"),
        ("providers.x.key", "y"),
        ("aliases", "y"),
    ],
)
def test_a_bad_setting_is_not_written(key: str, value: str, paths: Paths) -> None:
    user(paths, "# mine\n")
    with pytest.raises(UsageError):
        write_setting(paths.config_file, key, value)
    assert paths.config_file.read_text() == "# mine\n"


def test_a_linked_configuration_stays_a_link(paths: Paths, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("# kept\n")
    private_mkdir(paths.config_dir)
    paths.config_file.symlink_to(real)
    write_setting(paths.config_file, "keys", "vi")
    assert paths.config_file.is_symlink() and real.read_text() == '# kept\nkeys = "vi"\n'


def test_no_parser_is_loaded_where_there_is_no_file(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from llmrepl.system.paths import Paths; from llmrepl.config.settings import Settings\n"
        "Settings.load({}, Path('.'), Paths.find({'HOME': '.'}))\n"
        "sys.exit(bool({'tomllib', 'tomlkit', 'platformdirs', 'subprocess', 'pydantic'} & sys.modules.keys()))"
    )
    package = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(package)}, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.key)
def test_the_documentation_has_every_setting_as_it_is(row: Setting) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    usual = "" if row.default is None else str(row.default).lower().removesuffix(".0")
    choices = f" ({', '.join(row.choices)})" if row.choices else ""
    assert f"| `{row.key}` | {usual} | `{row.variable}` | {row.help}{choices} |" in page


@pytest.mark.parametrize("raw", [b'[prompts]\rreview = "x"\n', b"nosuch = {a = 1\n}\n"])
def test_a_file_that_the_settings_cannot_be_read_from_is_left_alone(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(raw)
    with pytest.raises(UsageError, match="not TOML"):
        write_setting(file, "temperature", "0.5")
    assert file.read_bytes() == raw
