"""The patients that models are trained and evaluated on: table, splits, and whom a model has seen."""
