-- MLflow keeps its tables apart from Dagster's.
CREATE DATABASE mlflow OWNER gogooku;
