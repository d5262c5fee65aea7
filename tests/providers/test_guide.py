"""The guide, tested with questions of people who have not read the documentation."""

from __future__ import annotations

import random
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmrepl.commands.grammar.command_table import CommandTable
from llmrepl.commands.registry import PROMPT, TERMINAL
from llmrepl.commands.table import all_commands
from llmrepl.config.settings_table import SETTINGS
from llmrepl.errors import UsageError
from llmrepl.providers.offline.guide import ONLY_THIS_SHELL, Guide, Reply
from llmrepl.providers.offline.intents import Intent, read_intents
from llmrepl.system.resources import packaged_directory

SETS = sorted(Path(__file__).with_name("questions").glob("*.txt"))
ANSWERS = packaged_directory("docs").parent / "llmrepl" / "providers" / "offline" / "answers"
INTENTS = [intent for file in sorted(ANSWERS.glob("*.md")) for intent in read_intents(file)]


@pytest.fixture(scope="module")
def guide() -> Guide:
    return Guide(packaged_directory("docs"))


def conversations(file: Path) -> Iterator[list[tuple[list[str], str]]]:
    """Return the conversations of a set, with the acceptable answers to each question."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            wanted, _, asked = line.partition(" | ")
            answers = [names.strip().split("/") for names in wanted.split(">>")]
            questions = [question.strip() for question in asked.split(">>")]
            answers += [answers[-1]] * (len(questions) - len(answers))
            yield list(zip(answers, questions, strict=True))


def verdict(wanted: list[str], reply: Reply) -> str:
    """Judge an answer: `right`, `partly` if a right one is among several, `none` if the guide is unsure."""
    if reply.topics[0].partition("/")[0] in wanted and reply.sure:
        return "right"
    if set(reply.topics) & set(wanted):
        return "partly"
    return "none" if reply.topics[0] in ("outside", "nothing") or not reply.sure else "wrong"


@pytest.mark.parametrize("file", SETS, ids=lambda file: file.stem)
def test_at_least_nine_in_ten_are_answered_right_and_none_wrong(guide: Guide, file: Path) -> None:
    verdicts: Counter[str] = Counter()
    wrong = []
    for conversation in conversations(file):
        for n, (wanted, question) in enumerate(conversation):
            asked = [text for _, text in reversed(conversation[: n + 1])]
            reply = guide.reply(asked)
            verdicts[verdict(wanted, reply)] += 1
            if verdict(wanted, reply) == "wrong":
                wrong.append(f"{question}: {reply.topics}, not {wanted}")
    assert not wrong
    assert verdicts["right"] >= 0.9 * verdicts.total(), verdicts


def test_one_conversation_of_all_questions_answers_as_well_as_each_alone(guide: Guide) -> None:
    single = [row[0] for file in SETS for row in conversations(file) if len(row) == 1]
    random.Random(8).shuffle(single)
    changed = []
    for n, (_, question) in enumerate(single):
        asked = [text for _, text in reversed(single[max(0, n - 5) : n + 1])]
        if guide.reply(asked) != guide.reply([question]):
            changed.append(f"{question} after {asked[1]}: {guide.reply(asked).topics}")
    assert not changed


def test_the_sets_are_large_and_ask_for_answers_that_exist() -> None:
    wanted = [names for file in SETS for row in conversations(file) for names, _ in row]
    known = {intent.name for intent in INTENTS} | {"outside", "nothing", "docs"}
    assert len(wanted) >= 250
    assert {name for names in wanted for name in names} <= known


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.name)
def test_an_answer_is_short_names_its_page_and_is_found_by_its_own_wordings(guide: Guide, intent: Intent) -> None:
    assert (packaged_directory("docs") / intent.page).is_file()
    assert len(intent.answer.splitlines()) <= 12
    assert len(intent.answer) <= 620
    some = intent.asked[::5]
    missed = [text for text in some if intent.name not in guide.reply([text]).topics]
    assert len(missed) <= 0.25 * len(some), missed


def test_names_of_intents_are_unique() -> None:
    assert max(Counter(intent.name for intent in INTENTS).values()) == 1


def commands(answer: str) -> Iterator[str]:
    """Return the commands in an answer (`:save NAME`, `llm -c`), also those in pipes."""
    indented = [line.strip() for line in answer.splitlines() if line.startswith("    ")]
    for text in [*re.findall(r"`([^`]+)`", answer), *indented]:
        for part in re.split(r" \| |\s+2?[<>]\(?", text.replace("source <(", "").rstrip(")")):
            if re.match(r":[a-z]|llm( |$)", part):
                yield part.strip()


def parses(line: str, table: CommandTable) -> bool:
    if line in ("llm", "llm -c", "llm --version", "llm --help", "llm --debug", "llm help") or line == "llm logs path":
        return True
    words = [re.sub(r"^(TURN|N)$", "2", word) for word in shlex.split(line.lstrip(":"))]
    try:
        if line.startswith(":"):
            table.parse_line(shlex.join(words))
        else:
            table.parse(words[1:], TERMINAL)
    except UsageError as error:
        # A bare command in a sentence may need an argument; its name must exist.
        return error.message.startswith("Which ")
    return True


def test_every_command_in_an_answer_exists() -> None:
    table = all_commands()
    lines = sorted({line for intent in INTENTS for line in commands(intent.answer)})
    assert len(lines) > 200
    assert {line for line in lines if not parses(line, table)} == set()


def test_every_setting_in_an_answer_exists_and_takes_the_value() -> None:
    by_key = {name: setting for setting in SETTINGS for name in (setting.key, setting.name)}
    found = [
        (key, value)
        for intent in INTENTS
        for line in commands(intent.answer)
        for key, value in re.findall(r"^(?:llm |:)(?:config )?set ([a-z_]+) (\S+)", line)
    ]
    assert len(found) > 20
    for key, value in found:
        by_key[key].read(value.strip('"'))


def test_the_prompts_own_commands_have_an_answer_each(guide: Guide) -> None:
    table = all_commands()
    for command in table.at(PROMPT):
        topics = guide.reply([f"what does :{command.name} do"]).topics
        assert not {"outside", "nothing"} & set(topics), command.name


@pytest.mark.parametrize(
    "question", ["write a haiku", "capital of France?", "2+2", "explain monads", "x" * 5000, "\ud800"]
)
def test_what_it_cannot_do_it_says_in_one_line(guide: Guide, question: str) -> None:
    assert guide.reply([question]).text == ONLY_THIS_SHELL


def test_what_is_not_found_is_answered_with_three_headings(guide: Guide) -> None:
    text = guide.reply(["is the screen of a session heavy"]).text
    assert text.startswith("I found no answer to that. The nearest headings are:")
    assert len(re.findall(r"(?m)^- .+ \(docs/\w[\w-]*\.md\)$", text)) == 3


def test_an_option_is_answered_from_the_list_of_commands(guide: Guide) -> None:
    text = guide.reply(["what does --min-turns do?"]).text
    assert text.startswith("- `sessions list`: `--min-turns N`: ")
    assert text.endswith("More: docs/commands.md")
    assert "`models list`" in guide.reply(["and --refresh"]).text


def test_a_command_that_does_not_exist_is_said_not_to(guide: Guide) -> None:
    assert guide.reply(["what is :frobnicate for"]).text.startswith("There is no command `:frobnicate`.")
    for name in (":wq", ":quit", ":switch", ":sessions", ":help"):
        assert "no command" not in guide.reply([f"what does {name} do"]).text


def test_a_follow_up_is_understood_with_the_question_before_it(guide: Guide) -> None:
    def topics(*asked: str) -> str:
        return guide.reply(list(reversed(asked))).topics[0]

    assert topics("how do I export to markdown?", "and in JSON?") == "export-json"
    assert topics("and in JSON?") == "json"
    assert topics("how do I export to markdown?", "thanks", "and to html?") == "export-html"
    assert topics("how do I set a budget?", "how do I quit?") == "quit"
    assert topics("write a haiku", "and in JSON?") == "json"


def test_more_shows_the_sections_about_it_until_there_is_none(guide: Guide) -> None:
    asked = ["how do I archive old sessions?"]
    texts = []
    for _ in range(8):
        asked.insert(0, "more")
        texts.append(guide.reply(asked).text)
    assert texts[0].startswith("**Sessions")
    assert texts[0] != texts[1]
    assert texts[-1] == "The documentation has no more on that."
    assert guide.reply(["more"]).text == ONLY_THIS_SHELL


def test_equal_questions_get_equal_answers(guide: Guide) -> None:
    again = Guide(packaged_directory("docs"))
    for intent in INTENTS:
        assert guide.reply(intent.asked[:1]) == again.reply(intent.asked[:1])
