"""Settings of the predictions."""

from model.settings.base import Section


class PredictionSettings(Section):
    """What is done with a network's output before it is stored."""

    calibrate_quantiles: bool = True
    """Whether quantiles are shifted, by horizon and level, to the shares found on the fold's validation days."""
