"""Expressions over the panel: small immutable trees of columns, constants and calls of operators.

An expression is what a feature *is*; its formula text, its lookback and the columns it reads are read off the tree.
Expressions compare and hash by structure; each node computes its hash once, when it is made, so that trees with
hundreds of nodes stay cheap as dictionary keys. Building one computes nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

Parameter: TypeAlias = int | float


class Expression:
    """Base of the three kinds of node; Python's arithmetic and comparisons on it build calls."""

    __slots__ = ()

    def __add__(self, other: "Operand") -> "Expression":
        return Call("add", (self, as_expression(other)))

    def __radd__(self, other: "Operand") -> "Expression":
        return Call("add", (as_expression(other), self))

    def __sub__(self, other: "Operand") -> "Expression":
        return Call("subtract", (self, as_expression(other)))

    def __rsub__(self, other: "Operand") -> "Expression":
        return Call("subtract", (as_expression(other), self))

    def __mul__(self, other: "Operand") -> "Expression":
        return Call("multiply", (self, as_expression(other)))

    def __rmul__(self, other: "Operand") -> "Expression":
        return Call("multiply", (as_expression(other), self))

    def __truediv__(self, other: "Operand") -> "Expression":
        return Call("divide", (self, as_expression(other)))

    def __rtruediv__(self, other: "Operand") -> "Expression":
        return Call("divide", (as_expression(other), self))

    def __neg__(self) -> "Expression":
        return Constant(-self.value) if isinstance(self, Constant) else Call("neg", (self,))

    def __gt__(self, other: "Operand") -> "Expression":
        return Call("greater", (self, as_expression(other)))

    def __lt__(self, other: "Operand") -> "Expression":
        return Call("less", (self, as_expression(other)))

    def __ge__(self, other: "Operand") -> "Expression":
        return Call("at_least", (self, as_expression(other)))

    def __le__(self, other: "Operand") -> "Expression":
        return Call("at_least", (as_expression(other), self))

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value: choose with where(condition, x, y), not with if or and")

    def __str__(self) -> str:
        return text(self)


Operand: TypeAlias = Expression | float | int


@dataclass(frozen=True, repr=False)
class Column(Expression):
    """A column of the panel or of the market table, by its name in the language."""

    name: str


@dataclass(frozen=True, repr=False)
class Reduced(Column):
    """A value that the names of a day were reduced to, by its text: one a day, read like a market column."""


@dataclass(frozen=True, repr=False)
class Constant(Expression):
    """A finite number."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a constant must be a finite number, not {self.value}")
        object.__setattr__(self, "value", float(self.value) + 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class Call(Expression):
    """An operator applied to expressions, with numbers as its parameters."""

    operator: str
    arguments: tuple[Expression, ...]
    parameters: tuple[Parameter, ...] = ()
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.operator, self.arguments, self.parameters)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Call) or self._hash != other._hash:
            return False
        same = self.operator == other.operator and self.parameters == other.parameters
        return same and self.arguments == other.arguments


def as_expression(value: Operand) -> Expression:
    """A number as a constant; an expression as it is."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"an expression or a number is needed here, not {type(value).__name__}")
    return Constant(float(value))


@lru_cache(maxsize=1 << 14)  # a few hundred features, each asked for a dozen properties
def walk(expression: Expression) -> tuple[Expression, ...]:
    """Every distinct node, arguments before the calls that use them."""
    seen: dict[Expression, None] = {}
    stack: list[tuple[Expression, bool]] = [(expression, False)]
    while stack:
        node, ready = stack.pop()
        if node in seen:
            continue
        if ready or not isinstance(node, Call):
            seen[node] = None
        else:
            stack.append((node, True))
            stack.extend((argument, False) for argument in reversed(node.arguments))
    return tuple(seen)


def rewrite(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The tree with every node replaced by ``change(node)``, from the leaves upward; equal nodes are visited once."""
    done: dict[Expression, Expression] = {}
    for node in walk(expression):
        built = node
        if isinstance(node, Call):
            arguments = tuple(done[argument] for argument in node.arguments)
            if any(now is not before for now, before in zip(arguments, node.arguments, strict=True)):
                built = Call(node.operator, arguments, node.parameters)
        done[node] = change(built)
    return done[expression]


def substitute(expression: Expression, columns: Mapping[str, Expression]) -> Expression:
    """The tree with the named columns replaced by expressions."""
    return rewrite(expression, lambda node: columns.get(node.name, node) if isinstance(node, Column) else node)


_INFIX = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2)}
_UNARY = 3
_ATOM = 4


def text(expression: Expression) -> str:
    """The canonical formula, which :func:`model.quality_features.language.parse.parse` reads back."""
    done: dict[Expression, tuple[str, int]] = {}
    for node in walk(expression):
        done[node] = _text(node, done)
    return done[expression][0]


def _text(node: Expression, done: Mapping[Expression, tuple[str, int]]) -> tuple[str, int]:
    """A node's text and how tightly it binds."""
    if isinstance(node, Column):
        return node.name, _ATOM
    if isinstance(node, Constant):
        return number(node.value), _ATOM if node.value >= 0 else _UNARY
    if not isinstance(node, Call):
        raise TypeError(f"{type(node).__name__} is no kind of expression")
    parts = [done[argument] for argument in node.arguments]
    if node.operator in _INFIX:
        sign, strength = _INFIX[node.operator]
        left = _bracketed(*parts[0], strength)
        right = _bracketed(*parts[1], strength + 1)  # a - (b - c) keeps its brackets, (a - b) - c needs none
        return f"{left} {sign} {right}", strength
    if node.operator == "neg":
        return f"-{_bracketed(*parts[0], _ATOM)}", _UNARY
    listed = [part for part, _ in parts] + [number(parameter) for parameter in node.parameters]
    return f"{node.operator}({', '.join(listed)})", _ATOM


def _bracketed(part: str, strength: int, needed: int) -> str:
    return part if strength >= needed else f"({part})"


def number(value: Parameter) -> str:
    """A number as a person writes it: no ``.0`` behind whole numbers."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
