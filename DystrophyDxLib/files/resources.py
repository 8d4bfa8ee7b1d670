"""Where the files that ship beside the code are."""

from pathlib import Path


def resources_folder() -> Path:
    """The Resources folder of a checkout or of the installed extension, or the one inside an installed wheel."""
    package = Path(__file__).parents[1]
    beside = package.parent / "Resources"
    return beside if (beside / "EmbeddedModel").is_dir() else package / "Resources"


def embedded_model() -> Path:
    """Folder of the model package that ships with the extension."""
    return resources_folder() / "EmbeddedModel"


def sample_study() -> Path:
    """DICOM folder of the phantom study that ships with the extension."""
    return resources_folder() / "SampleStudy"


def muscle_model() -> Path | None:
    """Folder of the package of the model of muscle maps that ships with the extension; None where it was left out."""
    folder = resources_folder() / "MuscleModel"
    return folder if folder.is_dir() else None


def pattern_model(*, differential: bool = False) -> Path | None:
    """The same of the model that answers by the pattern of fat in the muscles.

    Args:
        differential: of many diseases, instead of two classes.
    """
    folder = resources_folder() / ("DifferentialModel" if differential else "PatternModel")
    return folder if folder.is_dir() else None
