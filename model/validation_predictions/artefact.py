"""Names of a fold's predictions, for whoever reads them without the network."""

ASSET = "validation_predictions"
PREDICTIONS = "predictions.parquet"
MARKET = "market.parquet"
CALIBRATION = "calibration.json"
KEY = ("Date", "Code", "horizon")
