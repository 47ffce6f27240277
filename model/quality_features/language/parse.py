"""Formula text to expression: Python's grammar is parsed, a short white list of it is read, nothing is ever run.

Numbers, names, calls of the language's operators, ``+ - * /``, the minus sign, ``x ** number`` and single comparisons
``> >= < <=`` are the whole language.
"""

import ast
from collections.abc import Mapping
from types import MappingProxyType

from model.errors import SettingsError
from model.quality_features.language.columns import COLUMNS, MARKET_SERIES
from model.quality_features.language.expression import Column, Constant, Expression
from model.quality_features.language.operators import OPERATORS, nearest

LONGEST_TEXT = 4000
_DEEPEST = 80

_ARITHMETIC = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power"}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, bool]] = {
    ast.Gt: ("greater", False),
    ast.Lt: ("less", False),
    ast.GtE: ("at_least", False),
    ast.LtE: ("at_least", True),
}
"""Comparison to operator, and whether its sides change places."""


def parse(
    text: str, *, names: Mapping[str, Expression] = MappingProxyType({}), feature: str | None = None
) -> Expression:
    """The expression that a formula means.

    Args:
        text: the formula, e.g. ``mean(ret(close, 1), 20) / positive(std(ret(close, 1), 20))``.
        names: further names that the formula may use, e.g. features declared before, and what they stand for.
        feature: name of the feature that is declared, for the error message.

    Raises:
        SettingsError: not a formula, an unknown name or operator, a wrong number of operands, or a parameter out of
            its range; says where, and what was probably meant.
    """
    return _Reader(text, names, feature).read()


class _Reader:
    """One reading of one text; knows where it is, for the message."""

    def __init__(self, text: str, names: Mapping[str, Expression], feature: str | None) -> None:
        self.text = text
        self.names = names
        self.feature = feature

    def read(self) -> Expression:
        if len(self.text) > LONGEST_TEXT:
            raise self.error(None, f"it has {len(self.text)} characters; at most {LONGEST_TEXT} are read.")
        if not self.text.strip():
            raise self.error(None, "it is empty.")
        try:
            # Inside brackets a line break means nothing, so formulas may be folded over several lines in a preset.
            tree = ast.parse(f"({self.text}\n)", mode="eval")
        except SyntaxError as problem:
            where = (problem.offset or 1) - 1 - (problem.lineno == 1)
            raise self.error(where, f"it cannot be read as a formula ({problem.msg}).") from None
        except (RecursionError, MemoryError, ValueError) as problem:
            raise self.error(None, f"it cannot be read as a formula ({type(problem).__name__}).") from None
        return self.node(tree.body, 0)

    def error(self, where: ast.AST | int | None, problem: str) -> SettingsError:
        named = f"Feature '{self.feature}': " if self.feature else ""
        shown = " ".join(self.text.split())
        shown = shown if len(shown) <= 200 else f"{shown[:200]} …"
        position = ""
        if where is not None:
            position = f", at character {max(where if isinstance(where, int) else self.offset(where), 0) + 1}"
        return SettingsError(f"{named}in the formula '{shown}'{position}: {problem}")

    def offset(self, node: ast.AST) -> int:
        """Characters of the text before a node."""
        line, column = int(getattr(node, "lineno", 1)), int(getattr(node, "col_offset", 1))
        lines = f"({self.text}".split("\n")
        before = len(lines[line - 1].encode()[:column].decode())
        return sum(len(earlier) + 1 for earlier in lines[: line - 1]) + before - 1

    def node(self, node: ast.expr, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise self.error(node, f"it is nested more than {_DEEPEST} deep; declare a part as a feature of its own.")
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            operand = self.node(node.operand, depth + 1)
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return self.call(node, _ARITHMETIC[type(node.op)], [node.left, node.right], depth)
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
            operator, swapped = _COMPARISONS[type(node.ops[0])]
            sides = [node.left, node.comparators[0]]
            return self.call(node, operator, sides[::-1] if swapped else sides, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.named_call(node, node.func.id, depth)
        raise self.error(node, f"'{_excerpt(node)}' is not part of the language: {_LANGUAGE}")

    def constant(self, node: ast.Constant) -> Expression:
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            raise self.error(node, f"{node.value!r} is not a number.")
        if not abs(node.value) < 1e15:
            raise self.error(node, "the number is too large.")
        return Constant(float(node.value))

    def name(self, node: ast.Name) -> Expression:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in COLUMNS or node.id in MARKET_SERIES:
            return Column(node.id)
        if node.id in OPERATORS:
            raise self.error(node, f"'{node.id}' is an operator without its operands: {OPERATORS[node.id].signature}.")
        known = nearest(node.id, [*COLUMNS, *MARKET_SERIES, *self.names])
        raise self.error(node, f"there is no column '{node.id}'.{known}")

    def named_call(self, node: ast.Call, name: str, depth: int) -> Expression:
        if name not in OPERATORS:
            kind = "a column, not an operator" if name in COLUMNS or name in self.names else None
            raise self.error(
                node, f"'{name}' is {kind}." if kind else f"there is no operator '{name}'.{nearest(name, [*OPERATORS])}"
            )
        if node.keywords:
            raise self.error(node, f"operands are given in order, without names: {OPERATORS[name].signature}.")
        return self.call(node, name, node.args, depth)

    def call(self, node: ast.expr, name: str, operands: list[ast.expr], depth: int) -> Expression:
        built = [self.node(operand, depth + 1) for operand in operands]
        try:
            return OPERATORS[name](*built)
        except SettingsError as problem:
            raise self.error(node, str(problem)) from None


_LANGUAGE = "numbers, columns, operators with operands in brackets, + - * / and > >= < <= are."


def _excerpt(node: ast.expr) -> str:
    shown = ast.unparse(node)
    return shown if len(shown) <= 60 else f"{shown[:60]} …"
