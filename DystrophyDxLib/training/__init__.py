"""Training of models. Never on the path of a classification."""
