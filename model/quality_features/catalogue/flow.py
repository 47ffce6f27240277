"""Weekly flows of foreign and individual investors as known at the close: one value a day, the same for every name.

A week's figure stays until the next one is known, so a window of 252 days is 52 weeks, weighted by how long each
figure was the newest.
"""

from model.quality_features.language.expression import Expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import column, mean, std


def _z(x: Expression) -> Expression:
    return (x - mean(x, 252)) / std(x, 252)


_FOREIGN = column("foreign_net") / column("flow_total")
_INDIVIDUAL = column("individual_net") / column("flow_total")

FEATURES: tuple[Feature, ...] = (
    Feature("flow_foreign_ratio", "flow", _FOREIGN, description="Net purchases of foreigners over traded value."),
    Feature(
        "flow_individual_ratio", "flow", _INDIVIDUAL, description="Net purchases of individuals over traded value."
    ),
    Feature("flow_foreign_z_52w", "flow", _z(_FOREIGN)),
    Feature("flow_individual_z_52w", "flow", _z(_INDIVIDUAL)),
    Feature(
        "flow_smart_money",
        "flow",
        _z(_FOREIGN) - _z(_INDIVIDUAL),
        description="Foreigners' z-score minus individuals': who is buying from whom.",
    ),
)
