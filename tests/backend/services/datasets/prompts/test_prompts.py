"""Prompts: what a file may say, what becomes of an example, and versions that never change."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, LeakRefused, NotFound
from backend.services.datasets.prompts.prompts import (
    PromptSpec,
    add_prompt,
    diff_prompts,
    dump_prompt,
    find_prompt,
    list_prompts,
    parse_prompt,
    prompt_from_content,
    prompt_spec,
    render_messages,
    replaces_system,
)
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.projects import create_project
from backend.tables.models import Prompt

BRIEF = "system: Be brief.\ntemplate: |\n  Ticket: {{ input }}\nshots:\n  k: 2\n  choose: bm25\n"

BAD_FILES = {
    "no YAML": ("system: [", "not YAML", ""),
    "nothing": ("{}", "says nothing", "Give system"),
    "a list": ("- a", "no mapping", "Its keys: system"),
    "an unknown key": ("sistem: a", "named 'sistem'", "nearest first: system"),
    "an unknown key of shots": ("shots: {k: 1, chose: bm25}", "named 'chose'", "first: choose"),
    "a number as a text": ("system: 5", "wrong at system", ""),
    "half a character": (r'system: "a\uD800b"', "half of a surrogate", ""),
    "an empty text": ("template: ''", "wrong at template", ""),
    "a text that no database keeps": ('system: "a\\0"', "character NUL", ""),
    "a share of shots": ("shots: {k: 1.5}", "wrong at shots.k", "Its keys: k"),
    "too many shots": ("shots: {k: 65}", "wrong at shots.k", ""),
    "an unknown choice": ("shots: {k: 1, choose: best}", "wrong at shots.choose", ""),
    "ids that are not k": ("shots: {k: 2, ids: [a]}", "k different fixed shots", ""),
    "ids of chosen ones": ("shots: {k: 1, ids: [a], choose: bm25}", "fixed shots", ""),
    "no encoder": ("shots: {k: 1, choose: encoder}", "needs the encoder's name", ""),
    "an encoder for nothing": ("shots: {k: 1, encoder: e}", "nothing else takes one", ""),
    "shots of the test split": ("shots: {k: 1, split: test}", "from the test split", "train"),
    "a template that breaks off": ("template: |\n  a\n  {% if input %}", "at template: .*line", ""),
    "a field that no example has": ("system: '{{ inputs }}'", "at system: .*'inputs'.* input,", ""),
}
"""What a file says -> what the message and the hint must name."""

REFUSED_TEMPLATES = {
    "{% for i in range(10) %}{% endfor %}": "may not call anything",
    "{{ input.upper() }}": "may not call anything",
    "{{ input.upper }}": "only slices have parts",
    "{{ input.__class__ }}": "only slices have parts",
    "{% include 'other' %}": "may not use include",
    "{% import 'other' as o %}": "may not use import",
    "{% extends 'other' %}": "may not extend a file",
    "{% macro a() %}{% endmacro %}": "may not use macro",
    "{% set a = input %}": "may not use assign",
    "{{ input * 99999999 }}": "may not use mul",
    "{{ input ~ input }}": "may not use concat",
    "{{ input|center(99999999) }}": "no filter 'center'",
    "{% for a in input recursive %}{{ loop(a) }}{% endfor %}": "recursion",
    "a\n\n{{ nobody }}": r"'nobody'.*\(line 3\)",
    "x" * 100_001: "longer than 100,000",
    "{{" + "(" * 3000 + "input" + ")" * 3000 + "}}": "nested too deeply",
    "{% for a in input %}" * 30 + "{% endfor %}" * 30: "nested too deeply",
    "{% if input %}" * 120 + "a" + "{% endif %}" * 120: "nested too deeply",
    "{{ " + "1" * 5000 + " }}": "a number that is too long",
    "{{ 1 if 1 is divisibleby(0) else 2 }}": "no test 'divisibleby'",
    "{% if '%999999999d' is even %}{% endif %}": "no test 'even'",
    "{% for _work in [1] %}{% endfor %}": "may begin with _",
}
TOO_MUCH = "{% for a in input %}{% for b in input %}.{% endfor %}{% endfor %}"
UNRENDERED = {
    "{{ slices.topic }}": "no slice 'topic'",
    "{{ context }}": "leaves a field empty",
    "{{ slices._values }}": "no slice '_values'",
    "{{ slices['__class__'] }}": "no slice '__class__'",
    "{{ slices }}": "only texts and numbers",
    "{% if context %}{{ context }}{% endif %}": "nothing is left to ask",
    TOO_MUCH: "more than 10,000 turns",
    "{% for a in input %}{{ input }}{{ input }}{% endfor %}": "writes more than 400,000",
    "{% if '\"'" + "|tojson" * 25 + " == '' %}{% endif %}": "filters go over more than 10,000",
    "{% for a in input %}" + "{% if input == 1 %}{% endif %}" * 80 + "{% endfor %}": "do too much",
    "{% for a in input %}" + "{{ '' }}" * 200 + "{% endfor %}": "do too much at each turn",
    r"a {{ '\x00' }}": "NUL|half of a surrogate",
    r"a {{ '\ud800' }}": "NUL|half of a surrogate",
}
RENDERED = {
    "Say: {{ input }}": "Say: a question",
    "{{ input }}{% if context %} {{ context }}{% endif %}": "a question",
    "{{ slices.task }}/{{ slices['items'] }}": "intent/3",
    "{{ slices.tone|default('kind') }}": "kind",
    "{% for key, value in slices|items %}\n{{ key }}={{ value }}\n{% endfor %}": "task=intent\n"
    "items=3\n",
    "{{ input[:5]|upper }}": "A QUE",
    "{{ input if slices.task == 'intent' else 'no' }}": "a question",
}


def example(text: str = "a question", **more: Any) -> Any:
    """Something that can be asked."""
    fields = {"input": text, "messages": None, "context": None, "references": ["an answer"]}
    return SimpleNamespace(**{**fields, "slices": {"task": "intent", "items": 3}, **more})


class TestAFile:
    @pytest.mark.parametrize("case", BAD_FILES)
    def test_what_is_wrong_is_said_in_one_sentence(self, case: str) -> None:
        source, said, hint = BAD_FILES[case]
        with pytest.raises(InvalidInput, match=said) as refused:
            parse_prompt(source)
        assert hint in (refused.value.hint or "")
        assert "\n" not in refused.value.message

    @pytest.mark.parametrize("template", REFUSED_TEMPLATES)
    def test_a_template_only_shows(self, template: str) -> None:
        with pytest.raises(InvalidInput, match=REFUSED_TEMPLATES[template]):
            prompt_from_content({"template": template})

    def test_it_is_read_back_as_it_was_written(self) -> None:
        spec = parse_prompt(BRIEF)
        assert parse_prompt(dump_prompt(spec)) == spec

    def test_the_digest_is_of_what_it_says(self) -> None:
        lines = BRIEF.splitlines(keepends=True)
        reordered = "# why\n" + "".join([*lines[1:], lines[0]])
        assert parse_prompt(reordered).digest == parse_prompt(BRIEF).digest
        assert parse_prompt(BRIEF.replace("k: 2", "k: 3")).digest != parse_prompt(BRIEF).digest

    def test_no_shots_are_none(self) -> None:
        assert parse_prompt("system: a\nshots: {k: 0}") == parse_prompt("system: a")
        assert parse_prompt("shots: {k: 1, split: train}") == parse_prompt("shots: {k: 1}")


class TestRendering:
    @pytest.mark.parametrize("template", RENDERED)
    def test_fields_stand_where_the_template_has_them(self, template: str) -> None:
        spec = parse_prompt("system: s").model_copy(update={"template": template})
        *_, last = render_messages(example(), spec)
        assert last == {"role": "user", "content": RENDERED[template]}

    @pytest.mark.parametrize("template", UNRENDERED)
    def test_what_cannot_be_rendered_names_the_example(self, template: str) -> None:
        spec = parse_prompt("system: s").model_copy(update={"template": template})
        with pytest.raises(InvalidInput, match=f"p@1 for 'e1' .*{UNRENDERED[template]}"):
            render_messages(example("a question" * 60), spec, name="p@1 for 'e1'")

    def test_without_a_prompt_it_is_the_bare_rendering(self) -> None:
        said = [{"role": "user", "content": "a question\n\na source"}]
        assert render_messages(example(context="a source"), None) == said
        shots = parse_prompt("shots: {k: 1}")
        assert render_messages(example(context="a source"), shots) == said

    def test_shots_are_turns_between_system_and_question(self) -> None:
        spec = parse_prompt("system: Task {{ slices.task }}.\ntemplate: 'Q: {{ input }}'")
        shot = example("earlier", references=["said", "other"], slices={"task": "reply"})
        assert render_messages(example(), spec, [shot]) == [
            {"role": "system", "content": "Task intent."},
            {"role": "user", "content": "Q: earlier"},
            {"role": "assistant", "content": "said"},
            {"role": "user", "content": "Q: a question"},
        ]

    def test_of_a_conversation_only_the_last_question_is_put_into_the_template(self) -> None:
        turns = [
            {"role": "system", "content": "its own"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "second"},
        ]
        talk = example("a transcript", messages=turns)
        spec = parse_prompt("template: 'Q: {{ input }}'")
        assert render_messages(talk, spec) == [*turns[:3], {"role": "user", "content": "Q: second"}]
        with_system = parse_prompt("system: ours {{ input }}")
        asked = render_messages(talk, with_system, [talk])
        assert [turn["role"] for turn in asked] == [
            "system", *["user", "assistant"] * 3, "user"
        ]  # fmt: skip
        assert asked[0]["content"] == "ours second"
        assert replaces_system(talk, with_system)
        assert not replaces_system(talk, spec)
        assert turns[3]["content"] == "second"


class TestVersions:
    @pytest.fixture
    def project_id(self, session: Session) -> int:
        return create_project(session, "desk", base_model="tiny").id

    def add(self, session: Session, project_id: int, source: str, name: str = "brief") -> Prompt:
        return add_prompt(session, project_id, name, parse_prompt(source))

    def test_the_same_content_is_the_version_that_stands(
        self, session: Session, project_id: int
    ) -> None:
        first = self.add(session, project_id, BRIEF)
        assert self.add(session, project_id, f"# a comment\n{BRIEF}") is first
        changed = self.add(session, project_id, "system: Be long.")
        other = self.add(session, project_id, BRIEF, name="long")
        assert [p.label for p in (first, changed, other)] == ["brief@1", "brief@2", "long@1"]
        assert [p.label for p in list_prompts(session, project_id)] == [
            "brief@1", "brief@2", "long@1"
        ]  # fmt: skip
        assert find_prompt(session, project_id, "brief") is changed
        assert find_prompt(session, project_id, "brief@1") is first
        assert prompt_spec(first) == parse_prompt(BRIEF)

    def test_a_diff_shows_what_changed(self, session: Session, project_id: int) -> None:
        old = self.add(session, project_id, "system: Be brief.")
        new = self.add(session, project_id, "system: Be long.")
        assert diff_prompts(old, new)[-2:] == ["-system: Be brief.", "+system: Be long."]
        assert diff_prompts(old, old) == []

    @pytest.mark.parametrize("label", ["brieff", "brief@2", "brief@x", "brief@", ""])
    def test_one_that_is_not_there(self, session: Session, project_id: int, label: str) -> None:
        self.add(session, project_id, BRIEF)
        with pytest.raises(NotFound, match="no prompt") as refused:
            find_prompt(session, project_id, label)
        assert "brief@1" in str(refused.value.hint)

    @pytest.mark.parametrize("name", ["", "a+b", "a@1", "-a", "a" * 41, "a b"])
    def test_a_name_that_a_candidate_could_not_be_read_by(
        self, session: Session, project_id: int, name: str
    ) -> None:
        with pytest.raises(InvalidInput, match="cannot name a prompt"):
            self.add(session, project_id, BRIEF, name=name)

    def test_a_shot_that_is_held_out_is_refused_by_name(
        self, session: Session, project_id: int
    ) -> None:
        rows = [
            ExampleRow("a", "My card is lost.", references=("lost",), split="train"),
            ExampleRow("b", "Why was I charged twice?", references=("twice",), split="test"),
        ]
        import_dataset(session, project_id, "d", rows, source_name="f")
        assert self.add(session, project_id, "shots: {k: 1, ids: [a]}").version == 1
        with pytest.raises(InvalidInput, match="shot 'b' is in the test split of d@1"):
            self.add(session, project_id, "shots: {k: 1, ids: [b]}")

    @pytest.mark.parametrize(
        ("system", "told"),
        [
            ("For example: why was I charged  TWICE for\n one and the same coffee?", "'b' (test"),
            ("Say: Sorry for that, the second charge goes back within two days.", "answer in test"),
            ("Classify as lost or twice.", None),
            ("For example: my card was lost on the way to the station.", None),
            ("Sign as: Kind regards, the whole team of your friendly bank.", None),
        ],
    )
    def test_a_wording_that_tells_what_is_held_out_is_refused(
        self, session: Session, project_id: int, system: str, told: str | None
    ) -> None:
        bye = "Kind regards, the whole team of your friendly bank."
        again = "Sorry for that, the second charge goes back within two days."
        asked = "Why was I charged twice for one and the same coffee?"
        rows = [
            ExampleRow("a", "My card was lost on the way to the station.", references=(bye,)),
            ExampleRow("b", asked, references=(again, "twice"), split="test"),
            *(ExampleRow(n, f"Another question, number {n}", references=(bye,)) for n in "cd"),
        ]
        rows[0] = replace(rows[0], split="train")
        rows[2:] = [replace(row, split="test") for row in rows[2:]]
        import_dataset(session, project_id, "d", rows, source_name="f")
        if told is None:
            assert self.add(session, project_id, f"system: {json.dumps(system)}").version == 1
            return
        with pytest.raises(LeakRefused, match=re.escape(told)):
            self.add(session, project_id, f"system: {json.dumps(system)}")
        assert list_prompts(session, project_id) == []


def test_a_prompt_is_shown_as_people_write_it() -> None:
    source = "system: Be brief.\ntemplate: |\n  {{ input }}\n\n  Answer.\n"
    assert dump_prompt(parse_prompt(source)) == source
    odd = PromptSpec(template=" a \n\tb: 'c'\n\n# d \n")
    assert parse_prompt(dump_prompt(odd)) == odd
