"""Names of a fold's predictions, for whoever reads them without the network."""

from model.labels.labels import MARKET_NAMES

ASSET = "validation_predictions"
PREDICTIONS = "predictions.parquet"
MARKET = "market.parquet"
CALIBRATION = "calibration.json"
MARKET_COLUMNS = ("Date", "Code", *MARKET_NAMES)
HISTORY_DAYS = 120
"""Trading days of the market before the first test day: a book starts with volatilities and a covariance."""
KEY = ("Date", "Code", "horizon")
