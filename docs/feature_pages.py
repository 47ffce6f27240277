"""The reference pages of the features: the catalogue, Alpha158 and the language, written from the declarations."""

from collections.abc import Mapping, Sequence

from model.quality_features.alpha158.features import features as alpha158_features
from model.quality_features.atft13 import ATFT13
from model.quality_features.language.columns import COLUMNS, MARKET_MOVE, MARKET_RETURN, ColumnSpec
from model.quality_features.language.expression import Call, Column, Expression, text
from model.quality_features.language.feature import Feature, resolve
from model.quality_features.language.operators import OPERATORS, Kind
from model.quality_features.selection import catalogue
from model.quality_features.settings import GROUP_NAMES, SLOW_GROUPS, FeatureSettings

NOTE = "<!-- Written by `make docs`; edit the declarations in the code instead. -->"

_SCOPES = {"market": "day", "stock": "stock", "cross_section": "stock, within the day"}
_ABOUT = """\
The formulas are in the [feature language](language.md) and name other features where they contain them. The look-back
counts trading days, the feature's own day included. A feature varies by the day alone, by the stock's own history, or
by the stock among the names of its day. A flag `valid_5d` to `valid_252d` says of each row whether that many days hold
closes for at least `features.minimum_share`.
"""
_KINDS: Mapping[Kind, str] = {
    "elementwise": "Cell by cell",
    "time": "Over a name's past",
    "market": "Across a day's universe members, to one value a day",
    "names": "Each name among a day's universe members",
    "sector": "Each name among the universe members of its sector",
}


def feature_reference() -> str:
    """Every feature of the catalogue: formula, look-back, meaning."""
    settings = FeatureSettings()
    features = catalogue(settings)
    by_default = sum(feature.group in settings.groups for feature in features)
    lines = [
        "# Features",
        "",
        NOTE,
        "",
        f"{len(features)} features in {len(GROUP_NAMES)} groups, {by_default} of them by default.",
        "`features.groups` names the groups to compute;",
        f"{', '.join(SLOW_GROUPS)} need a source that has these data. `features.set` chooses between this",
        "catalogue and [Alpha158](alpha158.md); features of your own stand in `features.custom`",
        "([how](../how-to/add-a-feature.md)).",
        "",
        *_ABOUT.splitlines(),
        "",
        "Features marked with an asterisk are the thirteen that the network reads with `tensors.features: atft13`.",
    ]
    for group in GROUP_NAMES:
        members = [feature for feature in features if feature.group == group]
        lines += ["", f"## {group}", "", *_known(members), *_table(members, features)]
    return "\n".join(lines) + "\n"


def alpha158_reference() -> str:
    """Every feature of Alpha158."""
    features = alpha158_features()
    lines = [
        "# Alpha158",
        "",
        NOTE,
        "",
        f"The {len(features)} features of Qlib's handler of that name, under its names (`features.set: alpha158`, or",
        "`both`). A window needs one value, as in Qlib. [How to use it](../how-to/alpha158.md) says where the values",
        "differ from Qlib's on purpose.",
        "",
        *_ABOUT.splitlines(),
        "",
        *_table(features, features),
    ]
    return "\n".join(lines) + "\n"


def language_reference() -> str:
    """Columns and operators of the feature language."""
    lines = [
        "# The feature language",
        "",
        NOTE,
        "",
        "A formula is built of columns, numbers, operators, `+ - * /`, `x ** number`, comparisons (`> >= < <=`), which",
        "are 1 or 0, and names of features. It is read by a grammar of its own and never run as code.",
        "",
        "```yaml",
        "features:",
        "  custom:",
        "    - name: calm_momentum",
        "      formula: rank(ret_20d) - rank(vol_20d)",
        "    - name: sector_leader",
        "      formula: sector_rank(mean(calm_momentum, 5)) > 0.9",
        "```",
        "",
        "Days are trading days, and a window includes its own day. A missing value makes an operation cell by cell",
        "missing, and is left out of a window and of a day's members: a sum is that of the values present. A window",
        "with fewer values than `features.minimum_share` of its days is missing (`ema` and `wilder`, in which old days",
        "hardly count: with less than that share of the weights); with `nulls: any` one value is enough. Nothing reads",
        "a later day.",
        "",
        "## Columns",
        "",
        "| column | from | known |",
        "| --- | --- | --- |",
        *(_column(spec) for spec in COLUMNS.values()),
        f"| `{MARKET_RETURN}` | the 1-day return of `features.market_index`, or the mean over the universe's members | "
        f"{COLUMNS['close'].availability} |",
        f"| `{MARKET_MOVE}` | the same; after one day without any price, the return since the day before it; after "
        f"more, missing | {COLUMNS['close'].availability} |",
    ]
    for kind, title in _KINDS.items():
        lines += ["", f"## {title}", "", "| operator | what it is |", "| --- | --- |"]
        lines += [
            f"| `{operator.signature}` | {cell(operator.doc)} |"
            for operator in OPERATORS.values()
            if operator.kind == kind
        ]
    return "\n".join(lines) + "\n"


def _column(spec: ColumnSpec) -> str:
    place = f"raw_dataset, {spec.table}, `{spec.source}`" + (" where above 0" if spec.positive else "")
    place += ", in adjusted shares" if spec.adjusted_shares else ""
    return f"| `{spec.name}` | {place} | {spec.availability} |"


def _known(features: Sequence[Feature]) -> list[str]:
    """When a group's columns are known, where that is not simply the close of the day."""
    conditions = dict.fromkeys(part for feature in features for part in feature.availability.split("; "))
    slow = [condition for condition in conditions if condition != COLUMNS["close"].availability]
    return [f"Known {'; '.join(slow)}.", ""] if slow else []


def _table(features: Sequence[Feature], known: Sequence[Feature]) -> list[str]:
    names: dict[Expression, str] = {
        feature.expression: feature.name for feature in known if isinstance(feature.expression, Call)
    }
    lines = ["| feature | formula | meaning | look-back | varies by |", "| --- | --- | --- | --- | --- |"]
    for feature in features:
        mark = " *" if feature.name in ATFT13 else ""
        formula = text(_abbreviated(feature.expression, {**names, feature.expression: ""}))
        days = resolve(feature, None).lookback_days
        lines.append(
            f"| `{feature.name}`{mark} | `{cell(formula)}` | {cell(feature.description)} | {days} | "
            f"{_SCOPES[feature.scope]} |"
        )
    return lines


def _abbreviated(expression: Expression, names: Mapping[Expression, str]) -> Expression:
    """The tree with the name of a feature wherever that feature's own tree stands."""
    if names.get(expression):
        return Column(names[expression])
    if not isinstance(expression, Call):
        return expression
    parts = tuple(_abbreviated(argument, names) for argument in expression.arguments)
    return Call(expression.operator, parts, expression.parameters)


def cell(words: str) -> str:
    """Text as it may stand in a cell of a table."""
    return words.replace("|", "\\|").replace("\n", " ").replace("``", "`")
