"""A recipe says as data what a published method is: classes, network input, network and training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..errors import InputError
from .classes_recipe import ClassesRecipe
from .strict import Strict
from .training_recipe import STAGES, Size, TrainingRecipe

_RECIPES = Path(__file__).parent / "recipes"
LEG_SIZES = (112, 224, 448, 896)
"""Edges of the samples of legs: `samples.GRID` times a power of two."""


class ChannelRecipe(Strict):
    """One of the registered volumes that a sample is made of.

    Attributes:
        name: by which a column of the cohort table and the command line call it.
        scale: what its signal is divided by. "fat": what fat would give at each place in the first channel; "median":
            the same, and then so that the leg's median is `samples.MEDIAN`; "fraction": nothing, 0 to 1 are seen as
            they are; "window": a grey window set on the window's own pixels, see `samples.window_level`; "standard":
            its standard deviation over the region, about its mean there, see `volume_samples.standardised`.
        frame: which frame of a cine it is where a cine is given: the one with the largest or smallest cavity.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
    scale: Literal["fat", "median", "fraction", "window", "standard"]
    frame: Literal["diastole", "systole"] | None = None


class RegionRecipe(Strict):
    """Which part of a slice is a window.

    Attributes:
        kind: "legs": each leg, along its outline (`roi`); "square": as much as the sample shows, around the middle of
            the image or of the region that a user drew (`squares`); "slice": the whole slice; "volume": all voxels of
            the first channel that are not zero, in all slices, as of maps (`volumes`).
        pixel_mm: size of a sample's pixels, of squares only.
    """

    kind: Literal["legs", "square", "slice", "volume"] = "legs"
    pixel_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _pixels_of_squares(self) -> RegionRecipe:
        if (self.kind == "square") != (self.pixel_mm is not None):
            raise ValueError("a square region has pixel_mm, and no other has")
        return self


_OF_KIND = {
    "legs": (("t1_thigh", "leg"), ("fat", "median", "fraction")),
    "square": (("heart",), ("window",)),
    "slice": (("heart",), ("window",)),
    "volume": (("map",), ("fraction", "standard")),
}
"""What may be expected of each kind of region, and the scales that its channels may have."""


class SampleRecipe(Strict):
    """What the network sees of a leg, or of another region, in a slice; where there is a depth, in all slices.

    Attributes:
        size: edge in pixels of the square network input.
        depth: slices that all those of the region are resampled to; None for a sample a slice.
        region: which part of a slice that is.
        channels: the volumes it is cut from. The first gives windows, geometry and the facts of the acquisition.
        slices: consecutive slices of each channel that are stacked, the window's in the middle; beyond the ends of the
            series, the last slice once more.
        expects: "t1_thigh" for T1-weighted images with a femoral shaft, "leg" for any axial images of a leg,
            "heart" or "map", of which no image is judged.
    """

    size: Size
    depth: Annotated[int, Field(ge=8, le=256)] | None = None
    slices: Literal[1, 3, 5] = 1
    expects: Literal["t1_thigh", "leg", "heart", "map"] = "t1_thigh"
    region: RegionRecipe = RegionRecipe()
    channels: Annotated[tuple[ChannelRecipe, ...], Field(min_length=1)] = (ChannelRecipe(name="T1", scale="fat"),)

    @model_validator(mode="after")
    def _parts_agree(self) -> SampleRecipe:
        names = [channel.name.casefold() for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError("each channel has its own name")
        frames = [channel.frame for channel in self.channels]
        if any(frames) and (None in frames or len(set(frames)) < len(frames)):
            raise ValueError("the channels are different frames of a cine, or none of them is one")
        expected, scales_of_kind = _OF_KIND[self.region.kind]
        if self.expects not in expected:
            raise ValueError(f"of the region {self.region.kind}, {' or '.join(expected)} is expected")
        scales = [channel.scale for channel in self.channels]
        if not set(scales) <= set(scales_of_kind):
            raise ValueError(
                f"the channels of the region {self.region.kind} have the scale {' or '.join(scales_of_kind)}"
            )
        if self.depth is None and self.region.kind == "volume":
            raise ValueError("a volume has a depth")
        if self.depth is not None and (self.region.kind in ("square", "slice") or self.slices > 1):
            raise ValueError("legs and volumes have a depth, where slices are not stacked")
        if self.region.kind != "legs":
            return self
        if self.size not in LEG_SIZES:
            raise ValueError(f"the size of legs is one of {', '.join(map(str, LEG_SIZES))}")
        if scales[0] != "fat":
            raise ValueError("the first channel has the scale fat")
        return self

    @property
    def planes(self) -> int:
        """Planes of a sample: the slices of the first channel, then those of the next; of a volume its channels."""
        return len(self.channels) * self.slices

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample: (planes, size, size), of volumes (planes, depth, size, size)."""
        return (self.planes, *(() if self.depth is None else (self.depth,)), self.size, self.size)

    @property
    def of_volumes(self) -> bool:
        """Whether a sample shows its region in all slices, as 3D networks see it."""
        return self.depth is not None

    @property
    def of_t1_thighs(self) -> bool:
        """Whether the first channel is a T1-weighted series of the thighs."""
        return self.expects == "t1_thigh"

    @property
    def of_t1_alone(self) -> bool:
        """Whether a sample is one slice of a T1-weighted thigh and nothing beside it."""
        return self.of_t1_thighs and self.shape == (1, self.size, self.size)

    @property
    def extent_mm(self) -> float | None:
        """Edge of what a sample shows; None where it is the longer side of its window."""
        return None if self.region.pixel_mm is None else self.size * self.region.pixel_mm

    @property
    def further(self) -> tuple[str, ...]:
        """Names of the channels beside the first."""
        return tuple(channel.name for channel in self.channels[1:])

    @property
    def of_cine(self) -> bool:
        """Whether the channels are frames that a cine may be given for."""
        return self.channels[0].frame is not None

    def check_further(self, given: Iterable[str]) -> None:
        """Raises an `InputError` when one of the channels beside the first is not among those given."""
        missing = [name for name in self.further if name not in given]
        if missing:
            how = "; give a cine, or each frame as a channel" if self.of_cine else "; give each as a channel"
            raise InputError(
                f"The model needs {' and '.join(missing)} beside {self.channels[0].name}{how}, registered and on the "
                "same grid."
            )


class HeadRecipe(Strict):
    """Fully connected layers between the flattened maps and the classes, each followed by ReLU and dropout.

    Attributes:
        hidden: units of each layer.
        dropout: share of the units of each layer that a training step leaves out.
    """

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...]

    @model_validator(mode="after")
    def _one_each(self) -> HeadRecipe:
        if len(self.hidden) != len(self.dropout):
            raise ValueError("each hidden layer has its dropout")
        return self


class NetworkRecipe(Strict):
    """What the trunk is and which weights it starts from.

    Attributes:
        backbone: see `backbone_names`.
        weights: "imagenet" for published ones, "none" for random ones.
        pooled: of `STAGES` in their order, those whose last maps are pooled for the classification layer; the trunk
            ends with the last of them. Several make the ICAM network of Cai et al. (Pattern Recognit 2019;86:368).
        branches: "one" trunk sees all channels, or each of the "channels" has a trunk of its own, whose maps are then
            put side by side.
        head: None for global average pooling and one linear layer, which class activation maps need; with hidden
            layers the maps are Grad-CAM.
    """

    backbone: str
    weights: Literal["imagenet", "none"]
    pooled: Annotated[tuple[str, ...], Field(min_length=1)] = ("stage5",)
    branches: Literal["one", "channels"] = "one"
    head: HeadRecipe | None = None

    @model_validator(mode="after")
    def _stages_in_order(self) -> NetworkRecipe:
        if [stage for stage in STAGES if stage in self.pooled] != list(self.pooled):
            raise ValueError(f"pooled names some of {', '.join(STAGES)}, each once and in this order")
        if len(self.pooled) > 1 and (self.branches == "channels" or self.head):
            raise ValueError("a trunk for each channel, or a head with hidden layers, takes the maps of one stage")
        return self


class Recipe(ClassesRecipe):
    """One published system as data.

    With two classes the network has one output, the evidence for the second class; with more, one a class.
    """

    sample: SampleRecipe
    network: NetworkRecipe
    training: TrainingRecipe

    @model_validator(mode="after")
    def _parts_agree(self) -> Recipe:
        sizes = [self.sample.size >> halvings for halvings in range(self.sample.size.bit_length())]
        if any(stage.size not in sizes or self.sample.size % stage.size for stage in self.training.stages):
            raise ValueError("a training stage has the size of the sample, or that halved once or more")
        if self.network.branches == "channels" and not self.sample.further:
            raise ValueError("a trunk for each channel needs more than one channel")
        if self.network.head and (
            self.training.trainable == "head" or {stage.size for stage in self.training.stages} != {self.sample.size}
        ):
            raise ValueError("a head with hidden layers is trained with stages of the trunk, at the size of the sample")
        if self.sample.depth is not None and (len(self.network.pooled) > 1 or self.network.head):
            raise ValueError("of volumes the maps of one stage are pooled, for one linear layer")
        if (self.sample.region.kind != "legs" or self.sample.depth) and self.training.augmentation in (None, "wide"):
            raise ValueError("only slices of legs are augmented without a table augmentation")
        unknown = set(self.training.trainable) - set(STAGES[: STAGES.index(self.network.pooled[-1]) + 1])
        if isinstance(self.training.trainable, tuple) and unknown:
            raise ValueError("trainable names stages after the last that is pooled")
        return self

    def with_channels(self, names: Sequence[str]) -> Recipe:
        """The recipe with some of its channels, in its own order.

        Raises:
            InputError: it has no such channel, or cannot do with these alone.
        """
        wanted = {name.casefold() for name in names}
        kept = tuple(channel for channel in self.sample.channels if channel.name.casefold() in wanted)
        if len(kept) < len(wanted) or not kept:
            known = ", ".join(channel.name for channel in self.sample.channels)
            raise InputError(f"The recipe has no such channels; choose from {known}.")
        changes = {"sample": self.sample.model_dump() | {"channels": kept}}
        return self.changed(changes, "The recipe cannot do with these channels alone")

    @classmethod
    def named(cls, name: str) -> Recipe:
        """The recipe of that name that ships with the library.

        >>> recipe = Recipe.named("yang2021")
        >>> recipe.network.backbone, recipe.sample.shape, recipe.classes
        ('resnet50', (1, 224, 224), ('other', 'dystrophinopathy'))

        Raises:
            InputError: when there is none.
        """
        return cls.parse(shipped_recipe(name))


def known_recipes() -> list[str]:
    """Names of the recipes that ship with the library."""
    return sorted(path.stem for path in _RECIPES.glob("*.toml"))


def shipped_recipe(name: str) -> str:
    """Text of the recipe of that name that ships with the library.

    Raises:
        InputError: when there is none.
    """
    if name not in known_recipes():
        raise InputError(f"There is no recipe {name!r}; choose one of {', '.join(known_recipes())}.")
    return (_RECIPES / f"{name}.toml").read_text(encoding="utf-8")


def about_recipe(name: str) -> str:
    """What a recipe of the library is for: the comment at its head, to the first colon or full stop.

    >>> about_recipe("germain2021_plane")
    'Which of four planes a cine shows, by its end-diastolic frame.'
    """
    lines = (_RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    return re.split(r"(?<!al)\.(?:\s|$)|:\s", comment, maxsplit=1)[0] + "."
