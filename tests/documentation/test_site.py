"""The site as it is built: whole, linked, and good to look at in every window."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import needs_browser
from built_site import names_of
from devtools import opened, opened_text
from page_judgements import clipped, faint, faults_of, looked_at

import contractconv as cc

ROOMS = ("functions", "layers", "training", "weights", "torch", "jax", "dask")
PARTS = 8  # of the pages, each a test


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


class Links(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every element may have an address, of its own or of another one."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.targets.append(value)
            elif name == "id" and value:
                self.ids.add(value)


def broken(site: Path) -> list[str]:
    """Links that lead nowhere; of those to other places only the form is looked at."""
    known = {path: Links(path) for path in pages(site)}
    found = []
    for path, links in known.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme in ("http", "https"):
                right = bool(parts.netloc)
            else:
                there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                right = parts.scheme == "data" or there.exists()
                if right and parts.fragment and there in known and "playground" not in target:
                    right = unquote(parts.fragment) in known[there].ids
            if not right:
                found.append(f"{path.relative_to(site)}: {target}")
    return found


def test_the_site_is_built_without_a_warning(site: Path) -> None:
    assert {"index.html", "tutorial.html", "search.html"} <= {path.name for path in pages(site)}


def test_every_link_leads_somewhere(site: Path) -> None:
    assert broken(site) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html">b</a><a href="#c">c</a><a href="a.html">a</a>'
    )
    assert broken(tmp_path.resolve()) == ["a.html: b.html", "a.html: #c"]


def test_every_public_name_is_described(site: Path) -> None:
    described = names_of(site)
    public = {f"contractconv.{name}" for name in cc.__all__ if name not in ("__version__", *ROOMS)}
    assert public - described == set()
    assert "contractconv.Contraction.grad" in described


@needs_browser
@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_is_good_to_look_at(site: Path, part: int) -> None:
    own = f"{site.as_uri()}/"
    found = {}
    for path in pages(site)[part::PARTS]:
        with opened(path.as_uri()) as tab:
            faults = faults_of(tab, own)
        if faults:
            found[str(path.relative_to(site))] = faults
    assert found == {}


@needs_browser
def test_menus_are_good_to_look_at_when_they_are_open(site: Path) -> None:
    with opened((site / "gallery" / "convolution-strided.html").as_uri()) as tab:
        tab.view(360)
        tab.run("(view) => { view.document.getElementById('__navigation').click(); }")
        tab.run("() => new Promise((done) => setTimeout(done, 600))")  # it slides in
        found = tab.run("(view) => view.document.querySelector('.sidebar-drawer').offsetLeft")
        assert found == 0
        report = looked_at(tab, 360)  # what lies under the menu is covered
        assert clipped(report) + faint(report) == []


@needs_browser
def test_what_is_searched_for_is_found_without_a_server(site: Path) -> None:
    with opened(f"{(site / 'search.html').as_uri()}?q=transposed") as tab:
        script = """(view) => new Promise((done) => {
          const found = () => [...view.document.querySelectorAll('.search li a')];
          const look = () => found().length ? done(found().map((a) => a.textContent))
            : view.setTimeout(look, 50);
          look();
        })"""
        assert "Transposed convolution" in tab.run(script)
        assert faults_of(tab, f"{site.as_uri()}/", widths=(360, 1280)) == []


@needs_browser
def test_a_page_that_is_not_would_be_noticed() -> None:
    with opened_text("<html><body><div style='width: 2000px'>wide</div></body></html>") as tab:
        assert faults_of(tab) != []
