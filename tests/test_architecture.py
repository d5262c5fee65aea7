"""The rules of docs/architecture.md, checked in the source: imports, sizes, names, conventions.

Layers and the one importer of each library are contracts of import-linter in pyproject.toml; `test_import_contracts`
runs them. An exception to a rule is listed here with its reason, and an exception that is no longer needed fails too.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import llmrepl
from llmrepl.commands.registry import Command

ROOT = Path(llmrepl.__file__).resolve().parent
TOP = ROOT.parent

MODULE_LINES, FUNCTION_LINES, PACKAGE_MODULES, TOP_ENTRIES = 500, 50, 15, 18

CATCH_ALL: dict[str, str] = {"shell/runner.py": "a bug in one command must not take the conversation with it"}
"""Modules that may catch every exception."""

INTERFACES = ("prompt/", "rendering/", "shell/", "cli.py", "completion/")
"""What may write to the terminal."""

STREAMS = ("system/environment.py", "cli.py", "completion/__main__.py")
"""Modules that may name the process's own streams."""

NEVER = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "compile": "runs text as code",
    "breakpoint": "is for debugging",
    "input": "reads around the Environment object",
}
NEVER_IMPORTED = {"pickle", "marshal", "shelve", "dill", "yaml", "telnetlib", "tarfile", "xml"}

WRITERS = {
    "system/": "the primitives, none of which overwrites what stands nowhere else",
    "completion/__main__.py": "generates files of the source tree",
}
"""What may put something into the file system, rename it or delete it."""

WRITES = {
    "os": """chmod chown copy_file_range fchmod ftruncate link makedirs mkdir mkfifo mknod pwrite pwritev remove
        removedirs rename renames replace rmdir sendfile symlink truncate unlink write writev""",
    "shutil": "copy copy2 copyfile copyfileobj copymode copystat copytree make_archive move rmtree unpack_archive",
    "tempfile": "mkstemp mkdtemp mktemp NamedTemporaryFile TemporaryFile TemporaryDirectory SpooledTemporaryFile",
    "": """chmod hardlink_to lchmod mkdir rename rmdir symlink_to touch unlink write_bytes write_text""",
}
"""Calls that do, by module; under `` methods of a path, `replace` with one argument too."""

WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}


@dataclass(frozen=True)
class Import:
    """A module imports the module `target`, an absolute dotted name, in `line`."""

    line: int
    target: str


@dataclass(frozen=True)
class Source:
    """A module of the package: its relative path and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The dotted name of the module."""
        parts = ["llmrepl", *Path(self.path).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self) -> Iterator[Import]:
        """Yield every import, including late and type-only ones; `from package import module` imports the module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: use absolute imports"
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield Import(node.lineno, full if full in modules() else str(node.module))


@cache
def sources() -> tuple[Source, ...]:
    files = sorted(ROOT.rglob("*.py"))
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    return tuple(Source(path, text, ast.parse(text, path)) for path, text in texts.items())


@cache
def modules() -> dict[str, Source]:
    return {source.module: source for source in sources()}


def nodes() -> Iterator[tuple[Source, ast.AST, str]]:
    """Yield every syntax node with its module and location."""
    for source in sources():
        for node in ast.walk(source.tree):
            yield source, node, f"{source.path}:{getattr(node, 'lineno', 0)}"


def within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


def check(violations: list[str], rule: str) -> None:
    assert not violations, f"{rule}:\n  " + "\n  ".join(dict.fromkeys(violations))


def unused(exceptions: dict[str, str], used: set[str]) -> list[str]:
    return [f"{name} no longer needs its exception" for name in exceptions if name not in used]


def test_import_contracts() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_library_has_a_contract() -> None:
    """A library that no contract of import-linter names could be imported anywhere."""
    named = set(re.findall(r'forbidden_modules = \["([\w.]+)"', (TOP / "pyproject.toml").read_text()))
    violations = [
        f"{source.path}:{one.line} imports {library}"
        for source in sources()
        for one in source.imports()
        if (library := one.target.partition(".")[0]) not in {"llmrepl", *sys.stdlib_module_names}
        and library not in named
    ]
    check(violations, "every library has a contract in pyproject.toml that names its importer")


def test_packages_are_small() -> None:
    sizes: dict[str, int] = defaultdict(int)
    for source in sources():
        folder, _, name = source.path.rpartition("/")
        sizes[folder] += name != "__init__.py"
    violations = [f"{name} has {size} modules" for name, size in sizes.items() if name and size > PACKAGE_MODULES]
    entries = {source.path.partition("/")[0] for source in sources()}
    if len(entries) > TOP_ENTRIES:
        violations.append(f"the top level has {len(entries)} entries")
    check(violations, f"a package has at most {PACKAGE_MODULES} modules, the top level {TOP_ENTRIES} entries")


def test_no_class_name_is_used_twice() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for _, node, place in nodes():
        if isinstance(node, ast.ClassDef):
            where[node.name.lstrip("_")].append(place)
    violations = [f"{name}: {', '.join(places)}" for name, places in where.items() if len(places) > 1]
    check(violations, "two things never share a name")


def test_there_are_no_import_cycles() -> None:
    below = {name: {one.target for one in source.imports()} & modules().keys() for name, source in modules().items()}
    while leaves := {name for name, targets in below.items() if not targets & below.keys()}:
        below = {name: targets for name, targets in below.items() if name not in leaves}
    check(cycle(below), "imports form a cycle, or lead into one")


def cycle(left: dict[str, set[str]]) -> list[str]:
    """Return the modules of a cycle in a graph in which each module imports another."""
    if not left:
        return []
    way = [min(left)]
    while (after := min(left[way[-1]] & left.keys())) not in way:
        way.append(after)
    return [*way[way.index(after) :], after]


def test_only_interfaces_print() -> None:
    violations = []
    for source, node, where in nodes():
        printing = isinstance(node, ast.Call) and called(node) == "print"
        stream = isinstance(node, ast.Attribute) and dotted(node) in ("sys.stdout", "sys.stderr", "sys.stdin")
        if printing and not within(source.path, INTERFACES):
            violations.append(f"{where} prints")
        if stream and source.path not in STREAMS:
            violations.append(f"{where} uses {dotted(node)}")
    check(violations, "library code returns or yields; an interface writes to the streams of its Environment")


def test_only_the_primitives_write_files() -> None:
    violations, used = [], set()
    for source, node, where in nodes():
        if isinstance(node, ast.Call) and (what := writing_call(node)):
            place = next((place for place in WRITERS if within(source.path, (place,))), "")
            used.add(place)
            if not place:
                violations.append(f"{where} calls {what}")
    check([*violations, *unused(WRITERS, used)], "files are written, renamed and deleted by system/ only")


def writing_call(node: ast.Call) -> str:
    """Return the name of a call that writes, renames or deletes a file, else an empty string."""
    module, _, name = dotted(node.func).rpartition(".")
    if not module:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else name
    if module and module in WRITES:
        return name if name in WRITES[module].split() or (module == "os" and name == "open" and writes(node)) else ""
    if name == "open":
        return "open" if opens_for_writing(node) else ""
    is_session = isinstance(node.func, ast.Attribute) and dotted(node.func.value) == "open_session"
    is_path_method = isinstance(node.func, ast.Attribute) and name in WRITES[""].split() and not is_session
    is_path_replace = isinstance(node.func, ast.Attribute) and name == "replace" and len(node.args) == 1
    return name if is_path_method or (is_path_replace and not node.keywords) else ""


def writes(node: ast.Call) -> bool:
    """Whether `os.open` gets a flag for writing."""
    return any(isinstance(part, ast.Attribute) and part.attr in WRITING_FLAGS for part in ast.walk(node))


def opens_for_writing(node: ast.Call) -> bool:
    """Whether the mode of `open` writes or is unknown."""
    given = [word.value for word in node.keywords if word.arg == "mode"]
    position = 1 if isinstance(node.func, ast.Name) else 0
    mode = given[0] if given else node.args[position] if len(node.args) > position else None
    if isinstance(node.func, ast.Attribute) and not isinstance(mode, ast.Constant):
        return False  # the method of another thing, such as an archive or a store
    return mode is not None and (not isinstance(mode, ast.Constant) or bool(set("wax+") & set(str(mode.value))))


def test_the_calls_that_write_are_known() -> None:
    """The rule above detects each way to write in Python."""
    found = """os.rename(a, b); os.open(p, os.O_RDWR | os.O_CREAT); open(p, "w"); open(p, mode="ab"); path.open("x")
shutil.move(a, b); path.write_text("x"); path.replace(other); path.unlink(); tempfile.mkstemp(); open(p, mode)"""
    passed = """text.replace("a", "b"); os.open(p, os.O_RDONLY); open(p, "rb"); path.open(); open(p)
day.replace(tzinfo=UTC); archive.open(name); store.open(path, beside=False); os.stat(p)"""
    for text, expected in ((found, True), (passed, False)):
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        assert [bool(writing_call(call)) for call in calls] == [expected] * len(calls)


def test_the_environment_is_passed_in() -> None:
    outside = ("os.environ", "os.getenv", "os.getcwd", "Path.cwd", "Path.home", "sys.argv")
    violations = [
        f"{where} uses {dotted(node)}"
        for source, node, where in nodes()
        if isinstance(node, ast.Attribute) and dotted(node) in outside and source.path not in STREAMS
    ]
    check(violations, "the environment, the working directory and the arguments are passed in")


def test_modules_and_functions_are_short() -> None:
    sizes = {source.path: (len(source.text.splitlines()), MODULE_LINES) for source in sources()}
    for source, node, _ in nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = int(node.end_lineno or 0) - node.lineno + 1
            sizes[f"{source.path}:{node.name}"] = (lines, FUNCTION_LINES)
    violations = [f"{name} has {lines} lines, not {most}" for name, (lines, most) in sizes.items() if lines > most]
    check(violations, f"a module has at most {MODULE_LINES} lines, a function {FUNCTION_LINES}")


def test_only_the_runner_catches_everything() -> None:
    violations, used = [], set()
    for source, node, where in nodes():
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {"everything"} if node.type is None else {dotted(part) for part in ast.walk(node.type)}
        raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        if node.type is None or (caught & {"Exception", "BaseException"} and not raises_again):
            used.add(source.path)
            if node.type is None or source.path not in CATCH_ALL:
                violations.append(f"{where} catches everything")
    check([*violations, *unused(CATCH_ALL, used)], "name what can go wrong; only the files of CATCH_ALL catch the rest")


def test_what_is_never_done() -> None:
    violations = []
    for source in sources():
        violations += [
            f"{source.path}:{i.line} imports {i.target}" for i in source.imports() if i.target in NEVER_IMPORTED
        ]
    for _, node, where in nodes():
        if isinstance(node, ast.Assert):
            violations.append(f"{where} asserts, which python -O leaves out")
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in NEVER:
                violations.append(f"{where} calls {node.func.id}(), which {NEVER[node.func.id]}")
            if dotted(node.func) in ("os.system", "os.popen"):
                violations.append(f"{where} runs a command by the shell")
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if given.get("verify") is False:
                violations.append(f"{where} says verify=False")
            if given.get("shell") is True and called(node) in ("run", "Popen", "call", "check_call", "check_output"):
                violations.append(f"{where} says shell=True")
        elif isinstance(node, ast.Name) and node.id == "NotImplementedError":
            violations.append(f"{where} is not implemented")
    check(violations, "what is never done")


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    violations = [
        f"{source.path}:{number}: {line.strip()}"
        for source in sources()
        for number, line in enumerate(source.text.splitlines(), 1)
        if marks.search(line)
    ]
    check(violations, "notes for later")


def test_every_public_thing_says_what_it_is() -> None:
    violations = [source.path for source in sources() if source.text.strip() and not ast.get_docstring(source.tree)]
    for source in sources():
        for node in public(source.tree):
            if not ast.get_docstring(node):
                violations.append(f"{source.path}:{node.lineno} {node.name}")
    check(violations, "modules, classes and functions without a docstring")


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Return the public classes and functions of a module, and the public methods of classes without bases."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if "overload" not in {dotted(decorator) for decorator in node.decorator_list}:
                yield node
            if isinstance(node, ast.ClassDef) and not node.bases:
                yield from public(node)


def test_every_command_is_complete() -> None:
    violations = []
    for found in commands():
        parameters = set(list(inspect.signature(found.handler).parameters)[1:])
        if odd := parameters ^ {argument.dest for argument in found.arguments}:
            violations.append(
                f"{found.name}: its arguments and its handler's parameters differ: {', '.join(sorted(odd))}"
            )
        if not found.help or found.help != found.help.strip() or found.help.endswith("."):
            violations.append(f"{found.name}: the help is one line without a full stop")
        if not any(found.example.split()[: len(spelling)] == list(spelling) for spelling in spellings(found)):
            violations.append(f"{found.name}: the example {found.example!r} does not begin with its name")
        violations += [f"{found.name}: {a.dest} has no help" for a in found.arguments if not a.help]
    check(violations, "commands: help, an example, and a handler whose parameters are the arguments")


def spellings(found: Command) -> list[tuple[str, ...]]:
    return [found.words, *(tuple(alias.split()) for alias in found.aliases)]


def commands() -> list[Command]:
    """Yield every row of the command tables in llmrepl/commands/."""
    package = importlib.import_module("llmrepl.commands")
    names = [info.name for info in pkgutil.walk_packages(package.__path__, "llmrepl.commands.")]
    found = [value for name in names for value in vars(importlib.import_module(name)).values()]
    rows = {id(value): value for value in found if isinstance(value, Command)}
    return list(rows.values())


def called(node: ast.Call) -> str:
    return dotted(node.func).rpartition(".")[2]


def dotted(node: ast.AST) -> str:
    """Return the dotted name of a name or attribute, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


BANNED_WORDS = """
anew doubt face faces floor folded fold house keeper laws mend mends mended newcomer room rooms sound told wish wishes
""".split()
"""Words of no field: nobody who knows prompt_toolkit, httpx or git would search for them."""

WORDS_OF_OTHERS = (
    'overflow="fold"',  # a value of rich
    "math.floor",
    "Hugging Face",  # the company
    " will wish with ",  # stop words of the users' own questions
    "makes room",  # in a message, for tokens in a context window
)
"""Banned words that somebody else chose, or that have their everyday meaning."""


def banned_pattern() -> re.Pattern[str]:
    """Return a pattern for banned words, also inside snake_case and CamelCase identifiers."""
    words = "|".join(BANNED_WORDS)
    capitalized = "|".join(word.capitalize() for word in BANNED_WORDS)
    camel_case = rf"(?<![A-Za-z])(?:{capitalized})(?=[A-Z])|(?<=[a-z])(?:{capitalized})(?![a-z])"
    return re.compile(rf"(?i:(?<![a-z])(?:{words})(?![a-z]))|{camel_case}")


def test_words_of_the_field() -> None:
    pattern = banned_pattern()
    allowed = re.compile("|".join(map(re.escape, WORDS_OF_OTHERS)))
    tests = (path for path in (TOP / "tests").rglob("*.py") if path != Path(__file__) and "guide" not in path.parts)
    files = [*ROOT.rglob("*.py"), *tests, *(TOP / "docs").glob("*.md"), TOP / "README.md"]
    violations = [
        f"{file.relative_to(TOP)}:{number}: {found[0]}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for found in pattern.finditer(allowed.sub("", line))
    ]
    check(violations, "code, messages and docs use the words of the field")


def test_banned_words_are_found_inside_identifiers() -> None:
    """Banned words are found in snake_case and CamelCase, but not in longer words such as `ground`."""
    pattern = banned_pattern()
    assert all(pattern.search(text) for text in ("make_room", "SessionKeeper", "RoomKey", "TOLD", "a sound file"))
    assert not any(pattern.search(text) for text in ("ground", "interface", "background", "surround", "unfolded"))
