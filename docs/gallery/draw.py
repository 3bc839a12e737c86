"""Draw the gallery: each page's figure, its text with the numbers drawn, and the index.

python docs/gallery/draw.py             draws all pages anew
python docs/gallery/draw.py residual    draws this one
python docs/gallery/draw.py --small --out FOLDER    draws small versions elsewhere
"""

import argparse
import importlib
import io
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy  # noqa: F401, its BLAS must be loaded before its threads can be limited
import PIL.Image
import rich.console
import rich.progress
import threadpoolctl

HERE = Path(__file__).parent

PAGES = (
    "momentum",
    "adaptive_rates",
    "initialization",
    "schedules",
    "minibatch_error",
    "polyak_averaging",
    "clipping",
    "early_stopping",
    "batch_norm",
    "second_order",
    "coordinate_descent",
    "pretraining",
    "transfer",
    "hints",
    "residual",
    "continuation",
    "curriculum",
    "diagnostics_ill_conditioning",
    "diagnostics_condition_number",
    "diagnostics_critical_point",
    "diagnostics_range_test",
)


def load(name: str) -> ModuleType:
    """The module of a page."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    return importlib.import_module(name)


def text(name: str, facts: dict) -> str:
    """A page in Markdown: the module's docstring with the facts in it, and the figure."""
    title, body = (load(name).__doc__ or "").format(**facts).split("\n", 1)
    made = f"`python docs/gallery/draw.py {name}` draws it, by [{name}.py]({name}.py)."
    return f"# {title}\n\n![{title}]({name}.png)\n{body.rstrip()}\n\n{made}\n"


def index() -> str:
    """The list of all pages."""
    titles = [(name, (load(name).__doc__ or "").split("\n", 1)[0]) for name in PAGES]
    lines = "\n".join(f"- [{title}]({name}.md)" for name, title in titles)
    intro = (
        "Each technique of chapter 8 at work, on a page with a figure. `python docs/gallery/draw.py` draws all of them."
    )
    return f"# Gallery\n\n{intro}\n\n{lines}\n"


def draw(name: str, small: bool, folder: Path) -> dict:
    """Draw a page into a folder; returns its facts.

    Raises:
        ValueError: What the page says does not hold.
    """
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        figure, facts = load(name).draw(small)
    if not load(name).holds(facts):
        raise ValueError(f"{name}: what the page says does not hold: {facts}")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    # A palette of 64 colours halves the file.
    PIL.Image.open(drawn).convert("RGB").quantize(64).save(folder / f"{name}.png", optimize=True)
    (folder / f"{name}.md").write_text(text(name, facts))
    return facts


def main(argv: list[str]) -> None:
    """Draw the pages that the command line asks for."""
    parser = argparse.ArgumentParser(description="Draw the gallery.")
    parser.add_argument("pages", nargs="*", choices=[*PAGES, []], metavar="PAGE", help="default: all")
    parser.add_argument("--small", action="store_true", help="in a short time, for tests; needs --out")
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER", help="default: beside this script")
    options = parser.parse_args(argv)
    if options.small and options.out.resolve() == HERE.resolve():
        parser.error("--small needs an --out other than the gallery")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "facts.json"
    facts = json.loads(path.read_text()) if path.exists() else {}
    console = rich.console.Console(stderr=True)
    pages = options.pages or PAGES
    for name in rich.progress.track(pages, "drawing", console=console, disable=not console.is_terminal):
        facts[name] = draw(name, options.small, options.out)
    ordered = {name: facts[name] for name in PAGES if name in facts}
    path.write_text(json.dumps(ordered, indent=1) + "\n")
    (options.out / "README.md").write_text(index())


if __name__ == "__main__":
    main(sys.argv[1:])
