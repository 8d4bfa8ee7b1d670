"""What a model answers: probabilities of all its classes, the label that follows, why, and the words for it.

Inside the library an answer is always K probabilities in the order of the model's classes. `Binary` reads those of two
classes at a threshold, `Ranked` those of more as a differential. Nothing else asks how many classes there are: another
kind of answer is another class here, and a line in `kind_of`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..results import INDETERMINATE, CaseResult, ImageResult, RankedClass, StudyResult, threshold_in_words
from .draws import drawn_means, interval_of
from .earned import least_earned

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

FIRST_FEW = 3
"""Classes of a ranked differential that are told in one line."""
_NO_INTERVAL = "A whole volume is one image: its probability has no interval, and the label goes by it alone."


@dataclass(frozen=True)
class Decision(ABC):
    """How the probabilities of a model's classes become an answer.

    Attributes:
        classes: K names.
        threshold: probability from which the second of two classes is said; None for models that rank their classes.
        label_from: the least probability of each class at which it is a label; None for a class that is never one, and
            empty where validation has not chosen them.

    Raises:
        ValueError: number of classes, threshold and `label_from` do not belong together.
    """

    classes: tuple[str, ...]
    threshold: float | None = None
    label_from: tuple[float | None, ...] = ()

    FIRST_THRESHOLD: ClassVar[float | None]
    """What takes the place of the threshold before training has chosen one."""
    CHOSEN_BY_VALIDATION: ClassVar[str]
    """What of a model is chosen by the validation cases."""
    ONE_HEATMAP: ClassVar[bool]
    """Whether one heatmap holds the evidence for every class, by its sign."""

    def __post_init__(self) -> None:
        if type(self) is not kind_of(self.classes) or (self.threshold is None) != (len(self.classes) > 2):
            raise ValueError("two classes have a threshold, more have none")
        if self.label_from and len(self.label_from) != len(self.classes):
            raise ValueError("each class has one least probability, or none has")

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of network outputs (logits)."""

    @abstractmethod
    def probabilities(self, logits: np.ndarray, temperature: float) -> np.ndarray:
        """(N, K) float64 probability of each class.

        Args:
            logits: (N, outputs) of the network.
            temperature: that they are divided by (Guo et al., ICML 2017, section 4.2).
        """

    @abstractmethod
    def all_logits(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) logits whose softmax the probabilities are, from those (N, outputs) of the network."""

    @abstractmethod
    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N,) float32 cross-entropy of logits (N, outputs) with labels (N,) float32, the index of the class."""

    def tuned(self, truth: np.ndarray, probabilities: np.ndarray, *, keep_threshold: bool = False) -> Self:
        """The same with what cases choose that training did not see: where there is one, the threshold, and for each
        class the least probability at which it is a label.

        That is the smallest one at which validation shows that the model is right more often than by chance: Wilson's
        95 % interval of the share that is right lies above the share of the class among all cases, for all cases that
        say the class, and for the `earned.NEAREST` least sure of those that say it with at least that probability; the
        surer ones say nothing of these.

        Args:
            truth: (P,) index of the class of each case.
            probabilities: (P, K).
            keep_threshold: whether the threshold stays as it is.
        """
        chosen = self if keep_threshold else self._with_threshold(truth, probabilities)
        said = chosen.said(probabilities)
        sure = np.take_along_axis(probabilities, said[:, None], axis=1)[:, 0]
        return replace(
            chosen,
            label_from=tuple(
                least_earned(sure[said == k], truth[said == k] == k, float((truth == k).mean()))
                for k in range(len(self.classes))
            ),
        )

    def _with_threshold(self, truth: np.ndarray, probabilities: np.ndarray) -> Self:
        return self

    def _is_shown(self, label: int, probability: float) -> bool:
        """Whether validation shows a class to be more than chance at this probability of it, as far as it is known."""
        least = self.label_from[label] if self.label_from else 0.0
        return least is not None and probability >= least

    def labels_in_words(self) -> str:
        """From which probability each class is a label.

        >>> Ranked(("healthy", "DMD", "FSHMD"), label_from=(0.4, 0.52, None)).labels_in_words()
        'healthy from 0.40, DMD from 0.52, FSHMD never: where validation patients were right more often than by chance'
        """
        if not self.label_from:
            return "not known for validation patients: the package was made before they were asked"
        told = (
            f"{name} never" if least is None else f"{name} from {least:.2f}"
            for name, least in zip(self.classes, self.label_from, strict=True)
        )
        return f"{', '.join(told)}: where validation patients were right more often than by chance"

    @abstractmethod
    def said(self, probabilities: np.ndarray) -> np.ndarray:
        """(N,) int64 index of the class that each row of (N, K) probabilities says."""

    @abstractmethod
    def told(self, probabilities: np.ndarray) -> int:
        """Index of the class whose probability a case tells, from those (N, K) of its images."""

    @abstractmethod
    def told_class(self, case: CaseResult) -> str:
        """Name of the class whose probability `case` tells."""

    @abstractmethod
    def has_map(self, labels: np.ndarray) -> np.ndarray:
        """(N,) bool, whether the network has an output of its own for each class of `labels`."""

    @abstractmethod
    def evidence(self, outputs: np.ndarray, label: int) -> np.ndarray:
        """Evidence for a class, from what the network has for each of its outputs along the first axis."""

    @abstractmethod
    def listed(self, probabilities: Sequence[float]) -> tuple[float, ...]:
        """What an `ImageResult` lists of (K,) probabilities beside the one that is told."""

    @abstractmethod
    def of_image(self, image: ImageResult) -> tuple[float, ...]:
        """(K,) probabilities of an image, as read from a result."""

    def case(self, probabilities: np.ndarray, slices: np.ndarray, why_not: str | None) -> CaseResult:
        """The case from its images.

        Args:
            probabilities: (N, K) of the images that count.
            slices: (N,) slice of each; all the same where the images are whole volumes.
            why_not: why there is no label, if so.
        """
        return self.case_of_draws(probabilities.mean(axis=0), drawn_means(probabilities, slices), why_not)

    @abstractmethod
    def case_of_draws(self, mean: np.ndarray, draws: np.ndarray | None, why_not: str | None) -> CaseResult:
        """The case from its probabilities, and from what they may as well be.

        Args:
            mean: (K,).
            draws: (draws, K), whose percentiles are the interval; None where there is none.
            why_not: why there is no label, if so.
        """

    @abstractmethod
    def finding(self, case: CaseResult) -> str:
        """The case in words: what the images suggest or are most like, or that it cannot be said."""

    @abstractmethod
    def figures(self, case: CaseResult) -> str:
        """The figures of the case in one line."""

    @property
    def marks(self) -> tuple[float, ...]:
        """Probabilities at which a scale from 0 to 1 has a mark."""
        return () if self.threshold is None else (self.threshold,)


class Binary(Decision):
    """Two classes: the network has one output, the evidence for the second, which is said from the threshold on.

    >>> decision = Binary(("other muscle disease", "dystrophinopathy"), threshold=0.4)
    >>> case = decision.case(np.array([[0.2, 0.8], [0.1, 0.9]]), slices=np.array([4, 5]), why_not=None)
    >>> decision.finding(case), decision.figures(case)
    ('Images suggest dystrophinopathy', 'Probability 0.85, 95 % interval 0.80 to 0.90, threshold 0.40')
    """

    FIRST_THRESHOLD = 0.5
    CHOSEN_BY_VALIDATION = "weights, temperature and threshold"
    ONE_HEATMAP = True
    threshold: float

    @property
    def no_label(self) -> tuple[float, float] | None:
        """Probabilities of the second class between which there is no label; None where that is not known."""
        if not self.label_from:
            return None
        first, second = self.label_from
        return 0.0 if first is None else 1 - first, 1.0 if second is None else second

    @property
    def outputs(self) -> int:
        return 1

    def probabilities(self, logits: np.ndarray, temperature: float) -> np.ndarray:
        """See `Decision.probabilities`.

        >>> Binary(("normal", "DMD"), 0.5).probabilities(np.array([[0.0], [2.2]]), temperature=1.0).round(2)
        array([[0.5, 0.5],
               [0.1, 0.9]])
        """
        # A logit far below zero overflows to the probability 0, which is right.
        with np.errstate(over="ignore"):
            second = 1 / (1 + np.exp(-logits[:, 0].astype(np.float64) / temperature))
        return np.stack([1 - second, second], axis=1)

    def all_logits(self, logits: np.ndarray) -> np.ndarray:
        """The first class has the logit 0."""
        return np.concatenate([np.zeros_like(logits), logits], axis=1)

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(logits[:, 0].float(), labels, reduction="none")

    def _with_threshold(self, truth: np.ndarray, probabilities: np.ndarray) -> Self:
        from ..statistics.roc import youden_threshold

        return replace(self, threshold=round(youden_threshold(truth, probabilities[:, 1]), 3))

    def said(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities[:, 1] >= self.threshold).astype(np.int64)

    def told(self, probabilities: np.ndarray) -> int:
        return 1

    def told_class(self, case: CaseResult) -> str:
        return self.classes[1]

    def has_map(self, labels: np.ndarray) -> np.ndarray:
        return labels == 1

    def evidence(self, outputs: np.ndarray, label: int) -> np.ndarray:
        """What speaks against the second class speaks for the first."""
        return outputs[0] if label == 1 else -outputs[0]

    def listed(self, probabilities: Sequence[float]) -> tuple[float, ...]:
        return ()

    def of_image(self, image: ImageResult) -> tuple[float, ...]:
        return 1 - image.probability, image.probability

    def case_of_draws(self, mean: np.ndarray, draws: np.ndarray | None, why_not: str | None) -> CaseResult:
        """The label is that of the mean probability, where the interval does not cross the threshold and validation
        showed that the model is right more often than by chance when it is as sure."""
        interval = interval_of(draws, 1)
        probability = float(mean[1])
        is_second = probability >= self.threshold
        label = self.classes[int(is_second)]
        if why_not:
            label, reason = INDETERMINATE, why_not
        elif not self._is_shown(int(is_second), probability if is_second else 1 - probability):
            label = INDETERMINATE
            band = threshold_in_words(self.threshold, self.no_label or (0.0, 1.0))[1]
            reason = f"{(band or 'here').capitalize()} validation shows neither class to be more than chance."
        elif draws is None:
            reason = _NO_INTERVAL
        elif interval[0] < self.threshold <= interval[1]:
            label, reason = INDETERMINATE, "The 95 % interval crosses the threshold."
        else:
            reason = f"The 95 % interval lies {'above' if is_second else 'below'} the threshold."
        return CaseResult(
            probability=probability,
            ci95=interval,
            label=label,
            threshold=self.threshold,
            reason=reason,
            no_label=self.no_label,
        )

    def finding(self, case: CaseResult) -> str:
        if case.label == INDETERMINATE:
            return "Indeterminate"
        disease = self.classes[1]
        return f"Images {'suggest' if case.label == disease else 'do not suggest'} {disease}"

    def figures(self, case: CaseResult) -> str:
        """Probability, interval, threshold, and between which probabilities there is no label."""
        threshold, band = threshold_in_words(self.threshold, case.no_label)
        told = f"Probability {case.probability:.2f}, {_interval(case)}, threshold {threshold}"
        return f"{told}, no label {band}" if band else told


class Ranked(Decision):
    """More than two classes: the network has one output for each, and the answer ranks them from the most likely on.

    >>> decision = Ranked(("healthy", "DMD", "FSHMD"))
    >>> case = decision.case(np.array([[0.1, 0.7, 0.2], [0.1, 0.6, 0.3]]), slices=np.array([4, 5]), why_not=None)
    >>> decision.finding(case), [ranked.name for ranked in case.differential]
    ('Images most like DMD', ['DMD', 'FSHMD', 'healthy'])
    """

    FIRST_THRESHOLD = None
    CHOSEN_BY_VALIDATION = "weights and temperature"
    ONE_HEATMAP = False

    @property
    def outputs(self) -> int:
        return len(self.classes)

    def probabilities(self, logits: np.ndarray, temperature: float) -> np.ndarray:
        from scipy.special import softmax

        return softmax(logits.astype(np.float64) / temperature, axis=1)

    def all_logits(self, logits: np.ndarray) -> np.ndarray:
        return logits

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits.float(), labels.long(), reduction="none")

    def said(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities.argmax(axis=1)

    def told(self, probabilities: np.ndarray) -> int:
        """The most likely class of the case."""
        return int(probabilities.mean(axis=0).argmax())

    def told_class(self, case: CaseResult) -> str:
        return case.differential[0].name

    def has_map(self, labels: np.ndarray) -> np.ndarray:
        return np.ones(len(labels), bool)

    def evidence(self, outputs: np.ndarray, label: int) -> np.ndarray:
        return outputs[label]

    def listed(self, probabilities: Sequence[float]) -> tuple[float, ...]:
        return tuple(probabilities)

    def of_image(self, image: ImageResult) -> tuple[float, ...]:
        return image.probabilities

    def case_of_draws(self, mean: np.ndarray, draws: np.ndarray | None, why_not: str | None) -> CaseResult:
        """The first class is the label where its lead over the next is above 0 in 97.5 % of the draws of slices, and
        where validation showed that the model is right more often than by chance when it is as sure of that class."""
        order = np.argsort(-mean, kind="stable")
        differential = tuple(
            RankedClass(name=self.classes[k], probability=float(mean[k]), ci95=interval_of(draws, k)) for k in order
        )
        first, second = differential[:2]
        if why_not:
            label, reason = INDETERMINATE, why_not
        elif not self._is_shown(int(order[0]), first.probability):
            label = INDETERMINATE
            reason = f"Validation does not show that {first.name} at {first.probability:.2f} is more than chance."
        elif draws is None:
            label, reason = first.name, _NO_INTERVAL
        elif np.percentile(draws[:, order[0]] - draws[:, order[1]], 2.5) <= 0:
            label = INDETERMINATE
            reason = f"The 95 % interval of the lead of {first.name} over {second.name} holds 0."
        else:
            label, reason = first.name, f"The 95 % interval of its lead over {second.name} lies above 0."
        return CaseResult(
            probability=first.probability, ci95=first.ci95, label=label, reason=reason, differential=differential
        )

    def finding(self, case: CaseResult) -> str:
        return "Indeterminate" if case.label == INDETERMINATE else f"Images most like {case.label}"

    def figures(self, case: CaseResult) -> str:
        """The first few classes with their probabilities, and the interval of the first."""
        told = (f"{ranked.name} {ranked.probability:.2f}" for ranked in case.differential[:FIRST_FEW])
        return f"Ranked: {', '.join(told)}; {_interval(case, ' of the first')}"


def kind_of(classes: Sequence[str]) -> type[Decision]:
    """The kind of answer that a model of these classes gives."""
    return Binary if len(classes) == 2 else Ranked


def decision_before_training(classes: Sequence[str]) -> Decision:
    """How a model of these classes will answer; its threshold, where it has one, is still to be chosen."""
    kind = kind_of(classes)
    return kind(tuple(classes), kind.FIRST_THRESHOLD)


def decision_for(classes: Sequence[str], threshold: float | None, label_from: Sequence[float | None] = ()) -> Decision:
    """How a trained model of these classes answers.

    Raises:
        ValueError: as `Decision`.
    """
    return kind_of(classes)(tuple(classes), threshold, tuple(label_from))


def decision_of(result: StudyResult) -> Decision:
    """How the model answered that a result is of, from the result alone."""
    return decision_for(result.model.classes, result.case.threshold)


def _interval(case: CaseResult, of: str = "") -> str:
    low, high = case.ci95
    return f"95 % interval{of} {low:.2f} to {high:.2f}" if case.has_interval else "no 95 % interval"
