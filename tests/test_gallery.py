"""The gallery: each page's claim holds in small, and each committed page says what its script has drawn."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from schuss.training.command import EXTRA

GALLERY = Path(__file__).parent.parent / "docs" / "gallery"

if any(importlib.util.find_spec(module) is None for module in EXTRA):
    pytest.skip("needs schuss[train]", allow_module_level=True)

sys.path.insert(0, str(GALLERY))
import draw  # noqa: E402, it lies beside its pages

FACTS = json.loads((GALLERY / "facts.json").read_text())


@pytest.mark.parametrize("name", draw.PAGES)
def test_what_a_page_says_holds_in_small(name, tmp_path):
    facts = draw.draw(name, True, tmp_path)
    assert {key: facts[key] for key in draw.load(name).SMALL} == draw.load(name).SMALL
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"]({name}.png)" in (tmp_path / f"{name}.md").read_text()


@pytest.mark.parametrize("name", draw.PAGES)
def test_a_committed_page_says_what_was_drawn(name):
    facts, page = FACTS[name], draw.load(name)
    assert page.holds(facts)
    assert {key: facts[key] for key in page.FULL} == page.FULL
    assert (GALLERY / f"{name}.md").read_text() == draw.text(name, facts)
    assert (GALLERY / f"{name}.png").stat().st_size < 60_000


def test_the_residual_page_draws_the_fifty_layers_it_speaks_of():
    page = draw.load("residual")
    assert page.FULL["layers"] == page.SMALL["layers"] == 50
    assert "Two networks of 50 dense layers" in (GALLERY / "residual.md").read_text()


def test_every_page_is_in_the_index_and_nothing_else_is_there():
    assert (GALLERY / "README.md").read_text() == draw.index()
    assert list(FACTS) == list(draw.PAGES)
    made = {f"{name}{ending}" for name in draw.PAGES for ending in (".py", ".md", ".png")}
    own = {"README.md", "draw.py", "study.py", "facts.json"}
    assert {path.name for path in GALLERY.iterdir() if path.is_file()} == made | own


def test_a_page_whose_claim_fails_is_not_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(draw.load("momentum"), "holds", lambda facts: False)
    with pytest.raises(ValueError, match="momentum: what the page says does not hold"):
        draw.draw("momentum", True, tmp_path)
    assert not list(tmp_path.iterdir())


def test_small_pages_do_not_overwrite_the_gallery(capsys):
    with pytest.raises(SystemExit):
        draw.main(["--small", "momentum"])
    assert re.search("--small needs an --out other than the gallery", capsys.readouterr().err)
