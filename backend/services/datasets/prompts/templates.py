"""Templates of prompts: the part of jinja2 that shows fields and cannot run away.

A template shows `input`, `context` and `slices`, asks (`if`), and loops over slices or over a list;
it calls nothing, sets nothing and reads no other file. What is left is bounded: by LONGEST_TEMPLATE
characters of its own, MOST_TURNS of all its loops together, MOST_PARTS that stand in them, counted
at each turn, MOST_CHANGED characters that go through filters, and LONGEST_TEXT characters of what
it writes. Blocks leave no line of their own (`trim_blocks`, `lstrip_blocks`), as in the chat
templates of models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

FIELDS = ("input", "context", "slices")
LONGEST_TEMPLATE = 100_000
LONGEST_TEXT = 400_000
MOST_TURNS = 10_000
MOST_PARTS = 100_000
MOST_CHANGED = 10_000_000
_WORK = "_work"  # no template can name it, nor bind a loop to it: names begin with a letter


class TemplateRefused(ValueError):
    """A template that cannot be read, or cannot be rendered; `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"{message} (line {line})")


@dataclass(slots=True)
class _Work:
    """What a rendering has done so far, beside writing."""

    turns: int = 0
    parts: int = 0
    changed: int = 0

    def turn(self, parts: int) -> None:
        self.turns += 1
        self.parts += parts
        if self.turns > MOST_TURNS:
            raise SecurityError(f"its loops take more than {MOST_TURNS:,} turns")
        if self.parts > MOST_PARTS:
            raise SecurityError("its loops do too much at each turn")

    def change(self, length: int) -> None:
        self.changed += length + 1
        if self.changed > MOST_CHANGED:
            raise SecurityError(f"its filters go over more than {MOST_CHANGED:,} characters")


class _Missing(StrictUndefined):
    """What an example lacks: an error wherever it is shown."""

    @property
    def _undefined_message(self) -> str:
        return f"the example has no slice {self._undefined_name!r}"


class _Slices:
    """The slices of an example: only their names can be read from it."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values


def _text(change: Callable[[str], str]) -> Callable[[Context, Any], str]:
    @pass_context
    def filter_(context: Context, value: Any) -> str:
        text = str(_shown(value))
        context.resolve(_WORK).change(len(text))
        return change(text)

    return filter_


@pass_context
def _tojson(context: Context, value: Any) -> str:
    shown = _shown(value)
    context.resolve(_WORK).change(len(str(shown)))
    return json.dumps(shown, ensure_ascii=False)


def _shown(value: Any) -> Any:
    """What may be written: a field that an example leaves empty is no text."""
    if value is None:
        raise UndefinedError("the example leaves a field empty that is shown")
    if not isinstance(value, str | int | float | StrictUndefined):
        raise UndefinedError("only texts and numbers can be shown; loop over the rest")
    return value


def _default(value: Any, instead: str = "") -> Any:
    return instead if isinstance(value, StrictUndefined) or value is None else value


def _items(slices: Any) -> list[tuple[str, Any]]:
    if not isinstance(slices, _Slices):
        raise UndefinedError("only slices have items")
    return [(name, slices[name]) for name in slices]


@pass_context
def _counted(context: Context, values: Iterable[Any], parts: int) -> Iterator[Any]:
    work: Any = context.resolve(_WORK)
    for value in values:
        work.turn(parts)
        yield value


FILTERS: dict[str, Callable[..., Any]] = {
    "trim": _text(str.strip),
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "capitalize": _text(str.capitalize),
    "title": _text(str.title),
    "tojson": _tojson,
    "default": _default,
    "items": _items,
    "length": len,
}
# jinja2's others call, or divide by `%`, which formats where a text stands on the left.
_TESTS = ("defined", "undefined", "none", "string", "number", "in")
_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Const, nodes.Neg, nodes.If, nodes.CondExpr, nodes.For, nodes.Filter,
    nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.List,
    nodes.Tuple,
)  # fmt: skip
_SAID = {nodes.Call: "call anything", nodes.Extends: "extend a file"}


class _BoundedLoops(NodeTransformer):
    """Count the turns of loops, and let `slices.items` be the slice of that name."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 (jinja2's name)
        parts = sum(1 for _ in _walk(node))
        self.generic_visit(node)
        counted = nodes.Filter(
            node.iter, "counted", [nodes.Const(parts)], [], None, None, lineno=node.lineno
        )
        node.iter = counted.set_environment(_environment())
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.node, nodes.Name) or node.node.name != "slices":
            return node
        key = nodes.Const(node.attr, lineno=node.lineno)
        return nodes.Getitem(node.node, key, node.ctx, lineno=node.lineno)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        undefined=_Missing, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.clear()
    made.filters = {**FILTERS, "counted": _counted}
    made.tests = {name: made.tests[name] for name in _TESTS}
    return made


@lru_cache(maxsize=64)
def compile_template(text: str) -> Template:
    """A template that can be rendered.

    Raises:
        TemplateRefused: it is no template, does more than show fields, or names what no example
            has.
    """
    if len(text) > LONGEST_TEMPLATE:
        raise TemplateRefused(f"it is longer than {LONGEST_TEMPLATE:,} characters")
    made = _environment()
    try:
        tree = made.parse(text)
        _check_nodes(tree)
        _check_names(tree)
        return Template.from_code(made, made.compile(_BoundedLoops().visit(tree)), {})
    except TemplateSyntaxError as error:
        raise TemplateRefused(_without_stop(error.message or "no template"), error.lineno) from None
    except (RecursionError, SyntaxError, MemoryError):  # jinja2's, or of Python's own compiler
        raise TemplateRefused("it is nested too deeply") from None
    except ValueError as error:
        if isinstance(error, TemplateRefused):
            raise
        raise TemplateRefused("it holds a number that is too long") from None


def render_template(
    text: str, *, input: str, context: str | None, slices: Mapping[str, Any]
) -> str:
    """The template with the fields of one example; errors as `compile_template`.

    Raises:
        TemplateRefused: the example lacks what the template shows, or it would take too much work.
    """
    template = compile_template(text)
    fields = {"input": input, "context": context or None, "slices": _Slices(slices)}
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate({**fields, _WORK: _Work()}):
            length += len(piece)
            if length > LONGEST_TEXT:
                raise TemplateRefused(f"it writes more than {LONGEST_TEXT:,} characters")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        if isinstance(error, TemplateRefused):
            raise
        raise TemplateRefused(_without_stop(str(error))) from None
    return "".join(pieces)


def _check_nodes(tree: nodes.Template) -> None:
    for node in _walk(tree):
        if not isinstance(node, _NODES):
            does = _SAID.get(type(node), f"use {type(node).__name__.lower()}")
            raise TemplateRefused(f"a template of a prompt may not {does}", node.lineno)
        if isinstance(node, nodes.For) and node.recursive:
            raise TemplateRefused("a template of a prompt may not use recursion", node.lineno)
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            known = ", ".join(FILTERS)
            raise TemplateRefused(
                f"there is no filter {node.name!r}; there are {known}", node.lineno
            )
        if isinstance(node, nodes.Test) and node.name not in _TESTS:
            known = ", ".join(_TESTS)
            raise TemplateRefused(f"there is no test {node.name!r}; there are {known}", node.lineno)
        if isinstance(node, nodes.Name) and node.name.startswith("_"):
            raise TemplateRefused(f"no name may begin with _, as {node.name!r} does", node.lineno)
        of = node.node if isinstance(node, nodes.Getattr) else None
        readable = isinstance(of, nodes.Name) and of.name in ("slices", "loop")
        if isinstance(node, nodes.Getattr) and not readable:
            raise TemplateRefused(f"only slices have parts such as {node.attr!r}", node.lineno)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _check_names(tree: nodes.Template) -> None:
    unknown = find_undeclared_variables(tree) - set(FIELDS)
    if not unknown:
        return
    name = min(unknown)
    line = next(
        (n.lineno for n in _walk(tree) if isinstance(n, nodes.Name) and n.name == name), None
    )
    near = get_close_matches(name, FIELDS, n=1, cutoff=0.5)
    known = ", ".join(dict.fromkeys([*near, *FIELDS]))
    raise TemplateRefused(f"no example has a field {name!r}; the fields are {known}", line)


def _without_stop(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else "it cannot be read"
