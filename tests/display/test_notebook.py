"""What a notebook shows: IPython's own formatters, and a stylesheet such as JupyterLab's.

The stylesheet has the kinds of rules that a notebook imposes on the output of a cell, behind the
same classes. Fonts are named through variables that a theme sets, and some pages have no theme.
"""

from __future__ import annotations

import importlib
import pickle
import warnings
from functools import cache, lru_cache
from typing import Any

import pytest
from browser import assert_closed, measure, needs_browser
from devtools import opened_text
from page_judgements import WIDTHS, faults, looked_at

import contractconv as cc

POOL = cc.Contraction("b (2*i+k) c -> b i c", reduce="max")
LAYER = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
SHAPES = ((2, 8, 3), (3, 3, 4))
TILED = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")
IMAGES = ((2, 32, 32, 64), (3, 3, 64, 64))


@lru_cache
def shown() -> dict[str, Any]:
    """One object of every kind that shows itself."""
    gradient = LAYER.grad(0)
    curvature = LAYER.curvature(1)
    tiled = TILED.explain(*IMAGES, proof=False).plan
    assert tiled is not None
    return {
        "Contraction": LAYER,
        "Derivation": gradient,
        "Steps": gradient.steps,
        "Step": gradient.steps[0],
        "Phases": gradient.phases(),
        "Phase": gradient.phases()[0],
        "Seconds": gradient.seconds,
        "Second": gradient.seconds[0],
        "Curvature": curvature,
        "KroneckerFactors": curvature.kronecker(),
        "Derived": LAYER.jvp(0),
        "Jacobian": POOL.jacobian(0),
        "Product": curvature.product(),
        "Plan": LAYER.plan(*SHAPES),
        "Tiled": tiled,
        "Certificate": gradient.verify(),
        "Explanation": LAYER.explain(*SHAPES),
        "Compiled": LAYER.compile(*SHAPES),
        "Tile": cc.toom_cook(2, 3),
        "Tiles": tiled.tiles,
    } | shown_programs()


@cache
def shown_programs() -> dict[str, Any]:
    """Programs and networks, and what is made of them."""
    x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
    program = cc.program(y=cc.relu(cc.contract("b i, i o -> b o", x, W)), name="layer")
    network = cc.Network([cc.layers.Conv(4, 3, map="relu"), cc.layers.Dense(2, over="h w c")])
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "rate": 0.01}]
    return {
        "Program": program,
        "ProgramExplanation": program.explain(wrt=["W"]),
        "ProgramCertificate": program.verify(),
        "ProgramPlan": program.compile(x=(2, 3), W=(3, 4)).plan,
        "Network": network,
        "NetworkExplanation": network.explain((2, 8, 8, 1)),
        "NetworkDiagram": network.diagram((2, 8, 8, 1)),
        "Summary": network.summary((2, 8, 8, 1)),
        "Fit": cc.Fit({}, None, rows, 2, 0.5, "epochs"),
    }


WITH_FORMULA = ["Contraction", "Derivation", "Phase", "Derived", "Jacobian", "Product"]
AS_PRINTED = [
    "Steps", "Step", "Phases", "Seconds", "Plan", "Tiled", "Certificate", "Explanation", "Tile",
    "Tiles", "Program", "ProgramExplanation", "ProgramCertificate", "ProgramPlan", "Network",
    "NetworkExplanation", "Summary",
]  # fmt: skip
BELOW_ITS_NAME = ["Curvature", "KroneckerFactors"]
BY_NAME = ["Compiled", "NetworkDiagram", "Fit"]
KINDS = [*WITH_FORMULA, *AS_PRINTED, *BELOW_ITS_NAME, *BY_NAME, "Second"]


def ipython(module: str) -> Any:
    """A module of IPython, or a skipped test."""
    pytest.importorskip("IPython")
    return importlib.import_module(f"IPython.{module}")


@lru_cache
def formatted(kind: str) -> dict[str, str]:
    """What IPython sends to its front end for an object."""
    formatters = ipython("core.formatters")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a formatter that fails warns
        data, _ = formatters.DisplayFormatter().format(shown()[kind])
    found: dict[str, str] = data
    return found


@pytest.mark.parametrize("kind", WITH_FORMULA)
def test_ipython_shows_the_object_and_its_formula(kind: str) -> None:
    thing = shown()[kind]
    assert formatted(kind)["text/plain"] == f"{thing!r}\n{thing.formula}"
    assert formatted(kind)["text/latex"] == f"${thing.latex()}$"


@pytest.mark.parametrize("kind", AS_PRINTED)
def test_ipython_shows_what_print_shows(kind: str) -> None:
    assert formatted(kind)["text/plain"] == str(shown()[kind]).rstrip()


@pytest.mark.parametrize("kind", BELOW_ITS_NAME)
def test_ipython_shows_the_object_and_what_it_consists_of(kind: str) -> None:
    thing = shown()[kind]
    assert formatted(kind)["text/plain"] == f"{thing!r}\n{thing}"
    assert "\nA: b (2*i+k-1) c, b (2*i+k_-1) c_ -> (k c) (k_ c_)\n" in f"\n{thing}\n"


@pytest.mark.parametrize("kind", BY_NAME)
def test_ipython_shows_what_has_no_formula(kind: str) -> None:
    assert formatted(kind)["text/plain"] == repr(shown()[kind])


def test_ipython_shows_a_second_derivative_and_its_formula() -> None:
    second = shown()["Second"]
    assert formatted("Second")["text/plain"] == f"{second!r}\n{second.formula}"


@pytest.mark.parametrize("kind", KINDS)
def test_everything_shows_itself_in_a_notebook(kind: str) -> None:
    assert assert_closed(formatted(kind)["text/html"])


@pytest.mark.parametrize("kind", ["Steps", "Phases", "Seconds", "Tiles"])
def test_what_shows_itself_as_a_whole_is_a_tuple(kind: str) -> None:
    things = shown()[kind]
    assert isinstance(things, tuple)
    assert things == tuple(things)
    assert hash(things) == hash(tuple(things))
    assert repr(things) == repr(tuple(things))
    assert type(things[:1]) is type((*things,)) is tuple
    assert pickle.loads(pickle.dumps(shown()["Tiles"])) == shown()["Tiles"]


def test_a_curvature_without_weights_has_no_factors() -> None:
    curvature = LAYER.curvature(0)
    assert [line.partition(":")[0] for line in str(curvature).splitlines()] == [
        "product",
        "diagonal",
    ]


def test_a_list_has_an_object_a_line_without_formulas() -> None:
    pretty = ipython("lib.pretty").pretty
    assert pretty([LAYER, POOL, POOL.grad(0)]).split(",\n ") == [
        f"[{LAYER!r}",
        f"{POOL!r}",
        f"{POOL.grad(0)!r}]",
    ]


def test_a_class_of_ones_own_shows_its_formula_as_well() -> None:
    pretty = ipython("lib.pretty").pretty

    class Named(cc.Contraction):
        """Somebody's contraction."""

        __slots__ = ()

        def __repr__(self) -> str:
            return "named"

    assert pretty(Named("i -> i")) == f"named\n{cc.Contraction('i -> i').formula}"


# --- in a notebook's stylesheet ---------------------------------------------------------------

STYLE = """
.jp-RenderedHTMLCommon { font-family: var(--jp-content-font-family); font-size: 14px;
  line-height: 1.6; padding-right: 20px; }
.jp-ThemedContainer .jp-RenderedHTMLCommon pre { border: none; margin: 0; padding: 0; }
.jp-ThemedContainer .jp-RenderedHTMLCommon > pre { margin: 1.5em 2em; }
.jp-ThemedContainer .jp-RenderedHTMLCommon pre, .jp-ThemedContainer .jp-RenderedHTMLCommon code {
  font-family: var(--jp-code-font-family); font-size: inherit; line-height: 1.3; padding: 0;
  white-space: pre-wrap; }
.jp-RenderedHTMLCommon ul:not(.list-inline), .jp-RenderedHTMLCommon ol:not(.list-inline) {
  padding-left: 2em; }
.jp-RenderedHTMLCommon table { border-collapse: collapse; table-layout: fixed; font-size: 12px;
  margin-left: auto; margin-right: auto; border: none; }
.jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th, .jp-RenderedHTMLCommon tr {
  vertical-align: middle; padding: 0.5em; white-space: normal; max-width: none; border: none; }
:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon td,
:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon th { text-align: right; }
.jp-RenderedHTMLCommon p { text-align: left; margin: 0 0 1em; }
.jp-RenderedHTMLCommon svg { max-width: 100%; height: auto; }
.jp-OutputArea-output dl, .jp-OutputArea-output dt, .jp-OutputArea-output dd { display: block; }
.jp-OutputArea-output dl { width: 100%; overflow: hidden; padding: 0; margin: 0; }
.jp-OutputArea-output dt { font-weight: bold; float: left; width: 20%; padding: 0; margin: 0; }
.jp-OutputArea-output dd { float: left; width: 80%; padding: 0; margin: 0; }
"""
THEME = """
:root { --jp-content-font-family: system-ui, 'DejaVu Sans', sans-serif;
  --jp-code-font-family: 'DejaVu Sans Mono', monospace; }
"""
THEMES = pytest.mark.parametrize("theme", ["", THEME], ids=["bare", "themed"])

SCRIPT = """(view) => {
  const page = view.document, all = (where, what) => [...where.querySelectorAll(what)];
  const box = (element) => {
    const r = element.getBoundingClientRect();
    return {left: r.left, top: r.top, width: r.width, height: r.height};
  };
  const style = (element) => view.getComputedStyle(element);
  const lines = (pre) => {
    const text = pre.firstChild, found = [];
    let start = 0;
    for (const line of text.data.split('\\n')) {
      const range = page.createRange();
      range.setStart(text, start); range.setEnd(text, start + line.length);
      found.push({length: line.length, width: range.getBoundingClientRect().width,
                  rows: new Set([...range.getClientRects()].map((r) => r.top)).size});
      start += line.length + 1;
    }
    return found;
  };
  return {
    texts: all(page, 'pre').map((pre) => ({lines: lines(pre), align: style(pre).textAlign})),
    codes: all(page, 'code').map((code) => {
      const probe = (text) => {
        const span = page.createElement('span');
        span.textContent = text; code.append(span);
        const width = span.getBoundingClientRect().width;
        span.remove();
        return width;
      };
      return [probe('iiiiiiii'), probe('mmmmmmmm')];
    }),
    lists: all(page, 'dt, dd, ol, ul, li').map((item) => ({
      text: item.textContent.slice(0, 20), float: style(item).float, width: box(item).width,
      longest: Math.max(...item.textContent.split(' ').map((word) => word.length)),
      name: item.localName,
      height: box(item).height, size: parseFloat(style(item).fontSize),
    })),
    cells: all(page, 'td').map((td) => style(td).textAlign),
    brackets: all(page, 'mtable').map((table) => ({
      inside: box(table), around: all(table.parentElement, ':scope > mo').map(box),
    })),
    reach: page.documentElement.scrollWidth, width: view.innerWidth,
  };
}"""


def notebook(html: str, theme: str = "") -> str:
    """A page with the output of a cell."""
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><style>{theme}{STYLE}</style></head>'
        '<body><div class="jp-ThemedContainer"><div class="jp-OutputArea-output '
        f'jp-RenderedHTML jp-RenderedHTMLCommon">{html}</div></div></body></html>'
    )


@lru_cache
def in_notebook(kind: str, theme: str = "", width: int = 1100) -> Any:
    """What the browser measures on an object in a notebook."""
    html = shown()[kind]._repr_html_()
    return measure(notebook(html, theme), SCRIPT, width=width)


def crooked(report: Any) -> list[int]:
    """Lines that are broken, or whose letters are not all equally wide."""
    lines = [line for text in report["texts"] for line in text["lines"] if line["length"]]
    wide = [line["width"] / line["length"] for line in lines]
    return [
        n
        for n, (line, each) in enumerate(zip(lines, wide, strict=True))
        if line["rows"] > 1 or abs(each - wide[0]) > 0.02 * wide[0]
    ]


def squeezed(report: Any) -> list[str]:
    """Items of lists that float, or that are broken although there is room."""
    return [
        item["text"]
        for item in report["lists"]
        if item["float"] != "none"
        or item["width"] < 0.35 * item["size"] * min(item["longest"], 8)
        or (item["name"] == "dt" and item["height"] > 2.2 * item["size"])
    ]


def short(report: Any) -> list[float]:
    """How much of its contents a bracket does not enclose."""
    return [
        bracket["height"] / pair["inside"]["height"]
        for pair in report["brackets"]
        for bracket in pair["around"]
        if bracket["height"] < 0.95 * pair["inside"]["height"]
    ]


@needs_browser
@THEMES
@pytest.mark.parametrize("kind", ["Certificate", "Program"])
def test_columns_stay_columns(kind: str, theme: str) -> None:
    report = in_notebook(kind, theme, 500)
    assert len(report["texts"]) == 1
    assert crooked(report) == []
    assert report["texts"][0]["align"] in ("left", "start")


@needs_browser
@THEMES
def test_lists_are_wide_enough_and_do_not_float(theme: str) -> None:
    report = in_notebook("Explanation", theme)
    assert len(report["lists"]) > 10
    assert squeezed(report) == []
    assert set(report["cells"]) == {"left", "right"}  # numbers are on the right


@needs_browser
@THEMES
def test_strings_are_written_in_letters_of_one_width(theme: str) -> None:
    codes = [
        code
        for kind in ("Explanation", "Contraction")
        for code in in_notebook(kind, theme)["codes"]
    ]
    assert codes
    assert all(narrow == pytest.approx(wide, rel=0.02) for narrow, wide in codes)


@needs_browser
@THEMES
def test_brackets_are_as_high_as_what_they_enclose(theme: str) -> None:
    report = in_notebook("Tile", theme)
    assert [len(pair["around"]) for pair in report["brackets"]] == [2, 2, 2]
    assert all(pair["inside"]["height"] > 30 for pair in report["brackets"])
    assert short(report) == []


def in_themes() -> str:
    """A page with the output of a cell for every kind of thing."""
    cells = "".join(f"<h4>{kind}</h4>{shown()[kind]._repr_html_()}" for kind in KINDS)
    return notebook(cells, THEME)


DARK = "body { background: #111111; color: #e0e0e0; }"


@cache
def cells_in(theme: str, dark: bool) -> dict[int, Any]:
    """What the browser measures on all cells at once, whose host has a theme of its own."""
    ground = DARK if theme == "dark" else "body { background: #fff; color: #1f1f1f; }"
    page = in_themes().replace("<style>", f"<style>{ground}", 1)
    page = page.replace("<body>", f'<body data-jp-theme-light="{str(theme == "light").lower()}">')
    with opened_text(page) as tab:
        return {width: looked_at(tab, width, dark) for width in WIDTHS}


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["prefers light", "prefers dark"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_wrong_with_any_cell_in_any_theme(theme: str, dark: bool) -> None:
    found = {width: faults(report) for width, report in cells_in(theme, dark).items()}
    assert found == {width: [] for width in WIDTHS}


@needs_browser
def test_the_theme_of_the_notebook_decides_not_what_the_reader_prefers() -> None:
    def colours(theme: str, dark: bool) -> Any:
        report = cells_in(theme, dark)[768]
        prose = [(p["color"], p["ground"]) for p in report["prose"]]
        return prose, [t["color"] for p in report["pictures"] for t in p["texts"]]

    assert colours("light", False) == colours("light", True) != colours("dark", False)
    assert colours("dark", False) == colours("dark", True)


FAULTY = """<pre>iiiiiiii
mmmmmmmm</pre><dl><dt>a long title of a row</dt><dd>said of it</dd></dl>
<math><mrow><mo stretchy="false">[</mo><mtable><mtr><mtd><mn>1</mn></mtd></mtr>
<mtr><mtd><mn>2</mn></mtd></mtr></mtable></mrow></math>"""


@needs_browser
def test_the_judgements_can_fail() -> None:
    report = measure(notebook(FAULTY), SCRIPT)
    assert crooked(report) == [1]
    assert squeezed(report) == ["a long title of a row"[:20], "said of it"]
    assert len(short(report)) == 1
