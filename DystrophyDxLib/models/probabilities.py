"""From a network's logits to probabilities of all classes, and to the class that they say."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax


def class_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(N, K) float64 probability of each class.

    Args:
        logits: (N, 1), the evidence for the second of two classes, or (N, K), that for each of more.
        temperature: that the logits are divided by (Guo et al., ICML 2017, section 4.2).
    """
    scaled = logits.astype(np.float64) / temperature
    if scaled.shape[1] > 1:
        return softmax(scaled, axis=1)
    # A logit far below zero overflows to the probability 0, which is right.
    with np.errstate(over="ignore"):
        second = 1 / (1 + np.exp(-scaled[:, 0]))
    return np.stack([1 - second, second], axis=1)


def class_said(probabilities: np.ndarray, threshold: float | None) -> np.ndarray:
    """(N,) index of the class that (N, K) probabilities say: of two the second from `threshold` on, of more (without a
    threshold) the most likely."""
    return probabilities.argmax(axis=1) if threshold is None else (probabilities[:, 1] >= threshold).astype(np.int64)
