"""The 13 features of the ATFT selection: names only, so that whoever reads them needs no catalogue."""

ATFT13: tuple[str, ...] = (
    "ret_1d",
    "ret_5d",
    "ret_20d",
    "rsi_14",
    "macd_hist",
    "bollinger_b_20d",
    "natr_14",
    "obv_20d",
    "cci_20",
    "stoch_k_14",
    "volume_ratio_20d",
    "price_position_60d",
    "low_freq_ret_64d",
)
