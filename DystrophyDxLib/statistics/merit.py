"""By what readers are measured, what is compared, and what a result holds for; without what it takes to compute it."""

from __future__ import annotations

from typing import Literal, get_args

FigureOfMerit = Literal["AUC", "accuracy", "sensitivity", "specificity"]
FIGURES_OF_MERIT: tuple[FigureOfMerit, ...] = get_args(FigureOfMerit)
Random = Literal["readers and cases", "cases", "readers"]
"""What is a sample, so that the result holds beyond it; what is not named is fixed."""
RANDOM: tuple[Random, ...] = get_args(Random)
Compares = Literal["aided minus unaided", "unaided minus model", "aided minus model"]
"""What a difference is of; of the model, the mean of the readers in that arm minus the model."""
COMPARES: tuple[Compares, ...] = get_args(Compares)
ARMS_COMPARED = COMPARES[0]
