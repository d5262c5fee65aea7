"""The laws of the house (docs/architecture.md), read out of the source: floors, doors, sizes, habits.

An exception to a law stands here, beside its reason; one that is no longer needed fails as well.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import llmrepl
from llmrepl.commands.registry import Command

ROOT = Path(llmrepl.__file__).resolve().parent

FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "__init__.py",
        "configfile.py",
        "errors.py",
        "files.py",
        "keys.py",
        "messages.py",
        "packaged.py",
        "paths.py",
        "progress.py",
        "settings.py",
        "settings_table.py",
        "signals.py",
        "world.py",
    ),
    ("providers/",),
    ("sessions/",),
    ("money/",),
    ("attach.py", "till.py", "workspace.py", "offers.py", "rooms.py", "turn.py"),
    ("commands/",),
    ("view/",),
    ("repl/", "person.py", "shell.py", "script.py", "generate/"),
    ("cli.py", "__main__.py"),
)
"""The ground floor first. A file may import from its own floor and from below."""

DOORS: dict[str, tuple[str, ...]] = {
    "httpx": ("providers/http.py",),
    "pydantic": ("sessions/model.py",),
    "genai_prices": ("money/prices.py",),
    "rich": ("view/",),
    "markdown_it": ("view/", "sessions/export/"),  # a page of HTML is made without a terminal's renderer
    "pygments": ("view/", "sessions/export/"),
    "prompt_toolkit": ("repl/",),
    "tomlkit": ("configfile.py",),
    "shtab": ("generate/",),
    "sqlite3": (
        "providers/handbook.py",  # the documentation, in memory
        "sessions/indexfile.py",
        "sessions/indextext.py",
        "sessions/index.py",
        "sessions/importing/",  # another program's log
        "money/ledger.py",
    ),
}
"""The files that may import a library: one door for each, and every library that is not Python's own stands here."""

LATE: dict[str, str] = {
    "settings.py": "reads TOML only where there is a file, and the prompt does not wait for the parser",
    "cli.py": "chooses the face, so that `--version` loads nothing and a script loads no terminal",
    "repl/loop.py": "opens the completer at the first Tab, and knows the table once a shell is open",
    "view/terminal.py": "opens what draws with rich while the prompt is idle, so that the prompt does not wait for it",
    "money/prices.py": "the data set takes 100 ms to load, and only a model that costs something needs it",
    "providers/opening.py": "loads the network only for a provider that is on it",
    "keys.py": "runs a command of the user's only where one is set",
    "messages.py": "looks for the name that was meant only after a mistake",
    "providers/address.py": "takes an address apart only where a server is on this machine or unencrypted",
    "view/output.py": "what a command answers has no events of a reply",
    "rooms.py": "opens what only some commands need",
    "workspace.py": "opens the store and the session when they are first asked for, so that `--help` does not wait",
}
"""Files that may import inside a function, and which room they open or which face they choose."""

LONG: dict[str, str] = {}
"""Files of more than 300 lines and functions (`file:name`) of more than 50, and why they stay in one piece."""

CATCH_ALL: dict[str, str] = {"shell.py": "the loop: a mistake in one command must not take the conversation along"}
"""Files that may catch every exception."""

FACES = ("repl/", "view/", "script.py", "cli.py", "generate/")
"""What may write to the terminal by itself."""

NEVER = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "compile": "runs text as code",
    "breakpoint": "is for the bench",
    "input": "reads around the world object",
}
NEVER_IMPORTED = {"pickle", "marshal", "shelve", "dill", "yaml", "telnetlib", "tarfile", "xml"}


@dataclass(frozen=True)
class Import:
    """`line` of a file imports the module `target`, an absolute dotted name; `late` if inside a function."""

    line: int
    target: str
    late: bool


@dataclass(frozen=True)
class Source:
    """A file of the package by its path in it, and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The dotted name that the file is imported by."""
        parts = ["llmrepl", *Path(self.path).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self) -> Iterator[Import]:
        """Every import, late and type-only ones too; of `from package import module` the module is the target."""
        functions = (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef))
        late = {id(node) for function in functions for node in ast.walk(function)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(node.lineno, alias.name, id(node) in late)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: write imports from the top: from llmrepl…"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    target = whole if whole in modules() else str(node.module)
                    yield Import(node.lineno, target, id(node) in late)


@cache
def sources() -> tuple[Source, ...]:
    files = sorted(ROOT.rglob("*.py"))
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    return tuple(Source(path, text, ast.parse(text, path)) for path, text in texts.items())


@cache
def modules() -> dict[str, Source]:
    return {source.module: source for source in sources()}


def nodes() -> Iterator[tuple[Source, ast.AST, str]]:
    """Every syntax node, its file and where it is."""
    for source in sources():
        for node in ast.walk(source.tree):
            yield source, node, f"{source.path}:{getattr(node, 'lineno', 0)}"


def floor(path: str) -> int:
    return next((n for n, rooms in enumerate(FLOORS) if within(path, rooms)), -1)


def within(path: str, rooms: tuple[str, ...]) -> bool:
    return any(path == room or (room.endswith("/") and path.startswith(room)) for room in rooms)


def lawful(broken: list[str], law: str) -> None:
    assert not broken, f"{law}:\n  " + "\n  ".join(dict.fromkeys(broken))


def unused(exceptions: dict[str, str], used: set[str]) -> list[str]:
    return [f"{name} needs no exception any more" for name in exceptions if name not in used]


def test_every_file_stands_on_a_floor() -> None:
    lawful([source.path for source in sources() if floor(source.path) < 0], "files without a floor in FLOORS")


def test_imports_point_down() -> None:
    broken = []
    for source in sources():
        for one in source.imports():
            target = modules().get(one.target)
            if target and floor(target.path) > floor(source.path):
                broken.append(f"{source.path}:{one.line} imports {one.target} from a higher floor")
    lawful(broken, "imports point down only")


def test_rooms_on_the_money_floor_do_not_know_one_another() -> None:
    broken = [
        f"{source.path}:{one.line} imports {one.target}"
        for source in sources()
        if source.path.startswith("money/")
        for one in source.imports()
        if one.target.startswith("llmrepl.billing.") and one.target != "llmrepl.billing.pricing"  # what they share
    ]
    lawful(broken, "prices, cost, budget and ledger are put together above")


def test_there_are_no_circles() -> None:
    below = {name: {one.target for one in source.imports()} & modules().keys() for name, source in modules().items()}
    while leaves := {name for name, targets in below.items() if not targets & below.keys()}:
        below = {name: targets for name, targets in below.items() if name not in leaves}
    lawful(circle(below), "imports go round in a circle, or lead into one")


def circle(left: dict[str, set[str]]) -> list[str]:
    """The modules of one circle in a graph in which each module imports another one of it."""
    if not left:
        return []
    way = [min(left)]
    while (after := min(left[way[-1]] & left.keys())) not in way:
        way.append(after)
    return [*way[way.index(after) :], after]


def test_imports_stand_at_the_top() -> None:
    every = ((source.path, one) for source in sources() for one in source.imports())
    late = {f"{path}:{one.line} imports {one.target}" for path, one in every if one.late}
    late |= {
        f"{where} imports by name"
        for _, node, where in nodes()
        if isinstance(node, ast.Call) and called(node) in ("import_module", "__import__")
    }
    files = {line.partition(":")[0] for line in late}
    broken = sorted(line for line in late if line.partition(":")[0] not in LATE)
    lawful([*broken, *unused(LATE, files)], "late imports only in the files of LATE")


def test_each_library_has_one_door() -> None:
    broken = []
    for source in sources():
        for one in source.imports():
            library = one.target.partition(".")[0]
            if library == "llmrepl" or (library in sys.stdlib_module_names and library not in DOORS):
                continue
            if library not in DOORS:
                broken.append(f"{source.path}:{one.line} imports {library}, which has no door in DOORS")
            elif not within(source.path, DOORS[library]):
                broken.append(f"{source.path}:{one.line} imports {library}; its door is {' or '.join(DOORS[library])}")
    lawful(broken, "one door for each library")


def test_only_faces_print() -> None:
    broken = []
    for source, node, where in nodes():
        printing = isinstance(node, ast.Call) and called(node) == "print"
        stream = isinstance(node, ast.Attribute) and dotted(node) in ("sys.stdout", "sys.stderr", "sys.stdin")
        if printing and not within(source.path, FACES):
            broken.append(f"{where} prints")
        if stream and source.path not in ("world.py", "cli.py", "generate/__main__.py"):
            broken.append(f"{where} uses {dotted(node)}")
    lawful(broken, "library code returns or yields; a face writes to the streams of its World")


def test_the_environment_comes_with_the_world() -> None:
    outside = ("os.environ", "os.getenv", "os.getcwd", "Path.cwd", "Path.home", "sys.argv")
    broken = [
        f"{where} uses {dotted(node)}"
        for source, node, where in nodes()
        if isinstance(node, ast.Attribute) and dotted(node) in outside and source.path not in ("world.py", "cli.py")
    ]
    lawful(broken, "the environment, the working directory and the arguments are passed in")


def test_files_and_functions_are_short() -> None:
    sizes = {source.path: (len(source.text.splitlines()), 300) for source in sources()}
    for source, node, _ in nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            sizes[f"{source.path}:{node.name}"] = (int(node.end_lineno or 0) - node.lineno + 1, 50)
    long = {name: f"{name} has {lines} lines, not {most}" for name, (lines, most) in sizes.items() if lines > most}
    broken = [text for name, text in long.items() if name not in LONG]
    lawful([*broken, *unused(LONG, set(long))], "no file of more than 300 lines, no function of more than 50")


def test_only_the_loop_catches_everything() -> None:
    broken, used = [], set()
    for source, node, where in nodes():
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {"everything"} if node.type is None else {dotted(part) for part in ast.walk(node.type)}
        raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        if node.type is None or (caught & {"Exception", "BaseException"} and not raises_again):
            used.add(source.path)
            if node.type is None or source.path not in CATCH_ALL:
                broken.append(f"{where} catches everything")
    lawful([*broken, *unused(CATCH_ALL, used)], "name what can go wrong; only the files of CATCH_ALL catch the rest")


def test_what_is_never_done() -> None:
    broken = []
    for source in sources():
        broken += [f"{source.path}:{i.line} imports {i.target}" for i in source.imports() if i.target in NEVER_IMPORTED]
    for _, node, where in nodes():
        if isinstance(node, ast.Assert):
            broken.append(f"{where} asserts, which python -O leaves out")
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in NEVER:
                broken.append(f"{where} calls {node.func.id}(), which {NEVER[node.func.id]}")
            if dotted(node.func) in ("os.system", "os.popen"):
                broken.append(f"{where} runs a command by the shell")
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if given.get("verify") is False:
                broken.append(f"{where} says verify=False")
            if given.get("shell") is True and called(node) in ("run", "Popen", "call", "check_call", "check_output"):
                broken.append(f"{where} says shell=True")
        elif isinstance(node, ast.Name) and node.id == "NotImplementedError":
            broken.append(f"{where} is not implemented")
    lawful(broken, "what is never done")


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    broken = [
        f"{source.path}:{number}: {line.strip()}"
        for source in sources()
        for number, line in enumerate(source.text.splitlines(), 1)
        if marks.search(line)
    ]
    lawful(broken, "notes for later")


def test_every_public_thing_says_what_it_is() -> None:
    broken = [source.path for source in sources() if source.text.strip() and not ast.get_docstring(source.tree)]
    for source in sources():
        for node in public(source.tree):
            if not ast.get_docstring(node):
                broken.append(f"{source.path}:{node.lineno} {node.name}")
    lawful(broken, "modules, classes and functions without a docstring")


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """The public classes and functions of a module, and the public methods of the classes that inherit nothing."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if "overload" not in {dotted(decorator) for decorator in node.decorator_list}:
                yield node
            if isinstance(node, ast.ClassDef) and not node.bases:
                yield from public(node)


def test_every_command_is_a_whole_row() -> None:
    broken = []
    for found in commands():
        parameters = set(list(inspect.signature(found.handler).parameters)[1:])
        if odd := parameters ^ {argument.dest for argument in found.arguments}:
            broken.append(f"{found.name}: its arguments and its handler's parameters differ: {', '.join(sorted(odd))}")
        if not found.help or found.help != found.help.strip() or found.help.endswith("."):
            broken.append(f"{found.name}: the help is one line without a full stop")
        if not any(found.example.split()[: len(spelling)] == list(spelling) for spelling in spellings(found)):
            broken.append(f"{found.name}: the example {found.example!r} does not begin with its name")
        broken += [f"{found.name}: {a.dest} has no help" for a in found.arguments if not a.help]
    lawful(broken, "commands: help, an example, and a handler whose parameters are the arguments")


def spellings(found: Command) -> list[tuple[str, ...]]:
    return [found.words, *(tuple(alias.split()) for alias in found.aliases)]


def commands() -> list[Command]:
    """Every row that is written down in llmrepl/commands/."""
    package = importlib.import_module("llmrepl.commands")
    names = [info.name for info in pkgutil.walk_packages(package.__path__, "llmrepl.commands.")]
    found = [value for name in names for value in vars(importlib.import_module(name)).values()]
    rows = {id(value): value for value in found if isinstance(value, Command)}
    return list(rows.values())


def called(node: ast.Call) -> str:
    return dotted(node.func).rpartition(".")[2]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute of names, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""
