"""What the site holds beside the Markdown of this folder: generated parts, documents of the root, the gallery."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.append(str(Path(__file__).parent))
from generated import PARTS

ROOT = Path(__file__).parents[2]
GALLERY = Path(os.environ.get("COORDBENCH_GALLERY", ROOT / ".nox" / "gallery"))
OF_THE_ROOT = {
    "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "results/README.md": "results.md",
    "README.md": "index.md", "SKILL.md": "skill.md",
}  # fmt: skip
"""Documents outside this folder, and the names of their pages."""
_LINK = re.compile(r"\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents of the root, and the pages and pictures of the gallery."""
    for source, name in OF_THE_ROOT.items():
        if name != "index.md" and (ROOT / source).is_file():
            files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    for path in sorted(GALLERY.glob("*")):
        if path.suffix in (".html", ".svg", ".png"):
            files.append(File.generated(config, f"gallery/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the generated parts; links that leave the site become the names of what they lead to."""
    if (GALLERY / "grid.html").is_file():
        markdown = markdown.replace("<!-- grid of verdicts -->", (GALLERY / "grid.html").read_text(encoding="utf-8"))
    for mark, write in PARTS.items():
        if f"<!-- {mark} -->" in markdown:
            markdown = markdown.replace(f"<!-- {mark} -->", write())
    source = next((name for name, target in OF_THE_ROOT.items() if target == page.file.src_uri), None)
    folder = (ROOT / source).parent if source and page.file.src_uri != "index.md" else ROOT / "docs"
    return _LINK.sub(lambda match: _link(match, folder, files), markdown)


def _link(match: re.Match[str], folder: Path, files: Files) -> str:
    """A link as the site needs it."""
    target, anchor = match["target"], match["anchor"] or ""
    path = Path(os.path.normpath(folder / target))
    inside = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
    name = OF_THE_ROOT.get(inside, inside.removeprefix("docs/"))
    if files.get_file_from_path(name) is not None:
        return f"]({name}{anchor})"
    leaves = path.exists() and (path.is_dir() or not inside.startswith("docs/"))
    return f"](#){{ title='{inside}' }}" if leaves else f"]({name}{anchor})"  # what is broken stays so, and is refused
