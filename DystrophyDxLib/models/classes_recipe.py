"""What recipes have in common: the classes that are told apart with the diseases of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, model_validator

from ..errors import InputError
from .decision import Decision, decision_before_training
from .recipe_text import TomlRecipe, first_line

if TYPE_CHECKING:
    from typing_extensions import Self


class ClassesRecipe(TomlRecipe):
    """A recipe of what tells classes apart.

    Attributes:
        diagnoses: the diseases of each class.
        left_out: diseases that a cohort may hold and that are of no class; their patients are left out.
        tasks: other classes, with their diseases, that the recipe may be asked to tell apart, by the task's name; see
            `for_task`.
    """

    name: str
    publication: str
    classes: tuple[str, ...] = Field(min_length=2)
    diagnoses: dict[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()
    tasks: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _diseases_of_one_class(self) -> Self:
        if set(self.diagnoses) != set(self.classes) or len(set(self.classes)) != len(self.classes):
            raise ValueError("diagnoses lists the diseases of each class, and of nothing else")
        names = [(name.casefold(), label) for name, label in self._names()]
        if len(dict(names)) != len(set(names)) or {name.casefold() for name in self.left_out} & set(dict(names)):
            raise ValueError("a disease belongs to one class, or is left out")
        return self

    @property
    def decision(self) -> Decision:
        """How a model of this recipe answers; a threshold is still to be chosen in training."""
        return decision_before_training(self.classes)

    def class_of(self, diagnosis: str) -> int:
        """Index in `classes` of a disease or of a class's own name, in upper or lower case.

        Raises:
            InputError: when the recipe knows no such disease.
        """
        labels = {name.casefold(): label for name, label in self._names()}
        if diagnosis.strip().casefold() not in labels:
            known = ", ".join(disease for label in self.classes for disease in self.diagnoses[label])
            raise InputError(
                f"The recipe knows no diagnosis {diagnosis!r}; use one of {known}, or add it to the recipe."
            )
        return labels[diagnosis.strip().casefold()]

    def leaves_out(self, diagnosis: str) -> bool:
        """Whether patients with a disease are left out."""
        return diagnosis.strip().casefold() in {name.casefold() for name in self.left_out}

    def for_task(self, name: str) -> Self:
        """The recipe with the classes of one of its tasks; diseases of the others are left out.

        Raises:
            InputError: it has no such task.
        """
        if name not in self.tasks:
            what = f"choose one of {', '.join(self.tasks)}" if self.tasks else "this one tells its classes apart alone"
            raise InputError(f"The recipe has no task {name!r}; {what}.")
        chosen = self.tasks[name]
        tables = (self.diagnoses, *self.tasks.values())
        known = dict.fromkeys(
            (*self.left_out, *(disease for table in tables for own in table.values() for disease in own))
        )
        taken = {disease for diseases in chosen.values() for disease in diseases}
        changes = {
            "classes": tuple(chosen),
            "diagnoses": chosen,
            "left_out": tuple(disease for disease in known if disease not in taken),
            "tasks": {},
        }
        return self.changed(changes, f"The task {name!r} of the recipe is not valid")

    def changed(self, changes: Mapping[str, Any], refusal: str) -> Self:
        """The recipe with other entries.

        Args:
            refusal: begin of the message where they do not go together.

        Raises:
            InputError: they do not.
        """
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise InputError(f"{refusal} ({first_line(error)}); correct that entry.") from None

    def _names(self) -> Iterator[tuple[str, int]]:
        """Each class and disease with the index of its class."""
        for label, name in enumerate(self.classes):
            yield name, label
            yield from ((disease, label) for disease in self.diagnoses[name])
