"""Pages and pictures of the site that lie outside docs/: a hook of MkDocs, named in mkdocs.yml.

The README is the site's first page. Links are written as they work in the repository, and changed to the site's here.
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {"index.md": "README.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Files of the repository's root by their place in the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what lies outside docs/."""
    figures = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "Resources/Figures").iterdir())]
    for place, path in {**OUTSIDE, **{figure: figure for figure in figures}}.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Changes links between docs/ and the rest of the repository."""
    if page.file.src_uri in OUTSIDE:
        return markdown.replace("](docs/", "](").replace("](README.md", "](index.md")
    return markdown.replace("](../README.md", "](index.md").replace("](../", "](")
