"""What a day's members come to: the means and deviations over the names of a day that market-wide features read.

A market-wide feature is made of few such series, each one value a day. They are stored as they are, in full precision:
after a fix the names are compared again on the days that it reaches, and the windows over the series (a drawdown of
252 days) read all other days from the store. Otherwise the fix of one price would read every name of two years.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from model.quality_features.language.expression import Call, Expression, Reduced, text
from model.quality_features.language.feature import Feature, Nulls, resolve
from model.quality_features.language.operators import OPERATORS


def reductions(features: Sequence[Feature], market_index: str | None) -> tuple[Feature, ...]:
    """The reductions that the market-wide ones of some features are made of, each once."""
    found: dict[str, Feature] = {}
    for feature in features:
        written = resolve(feature, market_index)
        if written.scope == "market":
            _Split(written.nulls, found).of(written.expression)
    return tuple(found.values())


def over_reductions(feature: Feature, market_index: str | None) -> Feature:
    """A market-wide feature that reads its reductions as columns of the market table, called by their text."""
    written = resolve(feature, market_index)
    return replace(written, expression=_Split(written.nulls, {}).of(written.expression))


@dataclass
class _Split:
    """Puts columns in the place of reductions: of nested ones the outermost, so that none reads another."""

    nulls: Nulls
    found: dict[str, Feature]
    _done: dict[Expression, Expression] = field(default_factory=dict)

    def of(self, expression: Expression) -> Expression:
        if not isinstance(expression, Call):
            return expression
        if expression not in self._done:
            self._done[expression] = self._call(expression)
        return self._done[expression]

    def _call(self, call: Call) -> Expression:
        if OPERATORS[call.operator].kind != "market":
            return Call(call.operator, tuple(self.of(argument) for argument in call.arguments), call.parameters)
        name = text(call) if self.nulls == "share" else f"{text(call)}, {self.nulls}"
        self.found.setdefault(name, Feature(name, "market", call, self.nulls))
        return Reduced(name)
