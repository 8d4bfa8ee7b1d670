"""Works at the panel in a real Slicer, step by step, and photographs each; exit code 0 where all went well, else 1.

    Slicer --no-splash --testing --additional-module-paths DystrophyDx \\
        --python-script Testing/Slicer/photograph.py FOLDER

FOLDER, `photographs` where none is named, gets a picture of the window for each step and `index.html`, which shows them
with what has to be seen. Names after it (Looking, Correcting, Reading) run these stories alone. The packages of
DystrophyDx/Resources/requirements.txt have to be there.
"""

import html
import re
import sys
import tempfile
import traceback
from pathlib import Path

import slicer

sys.path.append(str(Path(__file__).resolve().parent))
from correcting import Correcting
from desk import settle
from looking import Looking
from reading import Reading

SIZE = (1366, 768)
"""Of the window: that of a small laptop."""


class Photographs:
    """A folder of pictures of Slicer's window, and a page that shows them."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._shown = []

    def take(self, name, words, wrong):
        """words: what has to be seen. wrong: what went wrong in the step; nothing where all went well."""
        settle()
        slicer.util.forceRenderAllViews()
        picture = f"{len(self._shown) + 1:02d}_{name}.png"
        slicer.util.mainWindow().grab().save(str(self._folder / picture))
        self._shown.append((picture, words, wrong))
        print(f"{picture}: {wrong or 'well'}")

    def write_page(self):
        figures = "".join(
            f'<h2>{n}. {html.escape(words)}</h2><p style="color: #a00">{html.escape(wrong)}</p>'
            f'<img src="{picture}" style="max-width: 100%">'
            for n, (picture, words, wrong) in enumerate(self._shown, 1)
        )
        page = f"<!doctype html><meta charset=utf-8><title>The panel, step by step</title>{figures}"
        (self._folder / "index.html").write_text(page, encoding="utf-8")

    @property
    def wrong(self):
        """Steps that went wrong."""
        return [picture for picture, _words, wrong in self._shown if wrong]


# Slicer's own, also where the panel was taken away before: when a scene is closed, the subject hierarchy forgets a
# segmentation before it is told that the display nodes of that segmentation go.
OF_SLICER = re.compile(
    r".*qSlicerSubjectHierarchySegmentationsPlugin::updateAllSegmentsFromMRML\(.*\) : "
    r"Unable to find subject hierarchy item for segmentation node  .*  so per-segment subject hierarchy node cannot be "
    r"created"
)


def errors():
    """Collects what is told to the error log, but for `OF_SLICER`; returns the list, and keeps it filled."""
    told = []

    def collect(_when, _thread, level, _origin, _context, text):
        if int(level) > WARNING and not OF_SLICER.fullmatch(text.strip()):
            told.append(text)

    slicer.app.errorLogModel().connect(
        "entryAdded(QDateTime,QString,ctkErrorLogLevel::LogLevel,QString,ctkErrorLogContext,QString)", collect
    )
    return told


WARNING = 32
"""Level of the error log; above it lie errors."""


def main(folder, wanted):
    window = slicer.util.mainWindow()
    window.showNormal()
    window.resize(*SIZE)
    photographs, told = Photographs(folder), errors()
    with tempfile.TemporaryDirectory() as scratch:
        for story in (Looking, Correcting, Reading):
            steps = [name for name in vars(story) if not name.startswith("_")]
            if wanted and story.__name__ not in wanted:
                continue
            acting = story(Path(scratch))
            for name in steps:
                step, wrong = getattr(acting, name), ""
                told.clear()
                try:
                    step()
                    settle()
                    assert not told, f"the error log says: {told[0]}"
                except Exception as error:
                    traceback.print_exc()
                    wrong = f"{type(error).__name__}: {error}"
                photographs.take(name, step.__doc__, wrong)
    photographs.write_page()
    return 1 if photographs.wrong else 0


if __name__ == "__main__":
    try:
        code = main(*(sys.argv[1:2] or ["photographs"]), sys.argv[2:])
    except BaseException:
        traceback.print_exc()
        code = 1
    slicer.util.exit(code)
