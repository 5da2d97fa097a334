"""Formatted text: a tree of harmless parts that says all that was written, whatever that was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.texts.formatted import (
    DEEPEST_JSON,
    LONGEST_MARKDOWN,
    TAGS,
    FormattedPart,
    Node,
    format_text,
    words_of,
)

SCRIPT = Path(__file__).parents[3] / "dashboard" / "components" / "texts" / "formatted.js"
SIGNS = st.text(st.sampled_from(list("ab1 \n\t*_`#>-+.|[]()!<>&;:\"'\\{},~=é👍")), max_size=60)


def shown(nodes: Sequence[Node]) -> str:
    """The tree in one line: `p(words em(words))`."""
    return "".join(
        node if isinstance(node, str) else f"{node.tag}{node.number}({shown(node.inside)})"
        for node in nodes
    )


def parts(nodes: Sequence[Node]) -> Iterator[FormattedPart]:
    for node in nodes:
        if isinstance(node, FormattedPart):
            yield node
            yield from parts(node.inside)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", ""),
        ("plain words", "p(plain words)"),
        ("one\ntwo\n\nthree", "p(onebr()two)p(three)"),
        ("# A\n\n### B\n\n###### C", "h3(A)h5(B)h6(C)"),
        ("**a** _b_ `c*`", "p(strong(a) em(b) code(c*))"),
        ("- a\n- b\n  - c", "ul(li(a)li(bul(li(c))))"),
        ("3. a\n9. b", "ol(li3(a)li9(b))"),
        ("> a\n> > b", "blockquote(p(a)blockquote(p(b)))"),
        ("```sql\nselect 1\n```", "small(sql)pre(code(select 1\n))"),
        ("    code", "pre(code(code\n))"),
        ("a\n\n---\n\nb", "p(a)hr()p(b)"),
        (
            "|a|b|\n|-|-|\n|1|**2**|",
            "table(thead(tr(th(a)th(b)))tbody(tr(td(1)td(strong(2)))))",
        ),
    ],
)
def test_markdown(text: str, tree: str) -> None:
    assert shown(format_text(text).nodes) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("<script>alert(1)</script>", "p(<script>alert(1)</script>)"),
        ("<img src=x onerror=alert(1)>", "p(<img src=x onerror=alert(1)>)"),
        ("<div>\n**a**\n</div>", "p(<div>br()strong(a)br()</div>)"),
        ("[x](javascript:alert(1))", "p(x (javascript:alert(1)))"),
        ('[x](http://evil/ "t")', 'p(x (http://evil/ "t"))'),
        ("![x](http://evil/p.png)", "p(![x](http://evil/p.png))"),
        ("[![x](http://evil/p.png)](http://evil/)", "p(![x](http://evil/p.png) (http://evil/))"),
        ("<http://evil/> http://evil/", "p(http://evil/ http://evil/)"),
        ("&lt;b&gt; &#60;i&#62;", "p(&lt;b&gt; &#60;i&#62;)"),
        ("<!-- a --> <![CDATA[b]]>", "p(<!-- a --> <![CDATA[b]]>)"),
        ("[a]: http://evil/\n\n[a]", "p([a]: http://evil/)p([a])"),
    ],
)
def test_what_is_hostile_is_text(text: str, tree: str) -> None:
    assert shown(format_text(text).nodes) == tree


@pytest.mark.parametrize(
    ("text", "why_not"),
    [
        (">" * 10_000 + " end", "would not be shown"),
        ("> " * 16 + "end", "would not be shown"),
        ("- " * 8 + "end", "would not be shown"),
        ("|a|\n|-|\n|1|2|", "would not be shown"),
        ("|a|\n|-|\n|1|✗|", "would not be shown"),
        ("|a|\n|-|\n|1|%|", "would not be shown"),
        ("Systolic\n> 140 mmHg", "a sign in it could be lost"),
        ("> >= .5", "a sign in it could be lost"),
        ("2*3*4 tablets", "a sign in it could be lost"),
        ("[x](http://a/?b&copy;)", "would not be shown"),
        ("|a" * 50 + "|\n" + "|-" * 50 + "|\n" + "|x|\n" * 200, "would not be shown"),
        ("a" * (LONGEST_MARKDOWN + 1), "not formatted"),
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ("[" * (DEEPEST_JSON + 1) + "]" * (DEEPEST_JSON + 1), "nested too deep"),
        ("[" + "0," * 50_000 + "0]", "too long"),
        ("[" + "0," * 200_000 + "0]", "too long"),
    ],
)
def test_what_cannot_be_shown_whole_stays_as_it_was_written(text: str, why_not: str) -> None:
    found = format_text(text)
    assert not found.nodes
    assert why_not in found.why_not


@pytest.mark.parametrize(
    "text",
    [
        ">" * 10_000,
        ">" + " " * 10_000,
        "1" + "*" * 10_000,
        "[" * 10_000,
        "*a" * 5_000,
        "![" * 5_000,
        "`" * 10_000,
        "\\" * 10_000,
    ],
)
def test_no_text_hangs(text: str) -> None:
    format_text(text)


@given(text=SIGNS)
def test_every_letter_stays_and_only_known_parts_are_made(text: str) -> None:
    found = format_text(text)
    if not found.why_not:
        stays = re.compile(r"[^\s*_`#>+.|\[\]()!<~=:\\\"'-]")
        assert stays.findall(words_of(found.nodes)) == stays.findall(text)
    assert {part.tag for part in parts(found.nodes)} <= TAGS


@pytest.mark.parametrize(
    ("text", "pretty"),
    [
        (' {"a":[1,{"b":[]}]}\n', '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ]\n}'),
        ("[]", "[]"),
        ("{ }", "{}"),
        ('{"a":1,"a":1.0e400}', '{\n  "a": 1,\n  "a": 1.0e400\n}'),
        ('["\\u00e9 \\"[,]{}: ", "é"]', '[\n  "\\u00e9 \\"[,]{}: ",\n  "é"\n]'),
        ("[" + "9" * 5_000 + "]", "[\n  " + "9" * 5_000 + "\n]"),
        ('["<script>"]', '[\n  "<script>"\n]'),
    ],
)
def test_json_is_indented_and_nothing_else_is_changed(text: str, pretty: str) -> None:
    assert shown(format_text(text).nodes) == f"pre(code({pretty}))"


@pytest.mark.parametrize("text", ["[NaN]", "{a: 1}", "[1,]", "12", '"a"', "[1] and more"])
def test_what_is_no_json_is_markdown(text: str) -> None:
    assert shown(format_text(text).nodes) == f"p({text})"


def test_the_browser_knows_the_same_parts() -> None:
    listed = re.search(r'Set\(\("(.*?)"\s*\+ "(.*?)"\)', SCRIPT.read_text("utf-8"), re.DOTALL)
    assert listed is not None
    assert set(" ".join(listed.groups()).split()) == TAGS
