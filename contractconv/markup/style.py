"""What pages look like, alone, in a notebook, and on paper.

A fragment has its style with it. The stylesheet of a notebook names its elements behind two
classes: the rules here have three. How wide there is room, a page asks its own container, for in a
notebook the window says little. Colours are variables with two values each; the host says which of
them hold, or the reader's preference does, and paper is always light.
"""

from __future__ import annotations

MONOSPACE = (
    "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
)
PAGE = ".cc-page.cc-page.cc-page"

# How JupyterLab, Sphinx's themes, VS Code and Colab tell which theme is on.
_DARK_HOST = ':is([data-jp-theme-light="false"], [data-theme="dark"], [theme="dark"], .vscode-dark)'
_LIGHT_HOST = (
    ':is([data-jp-theme-light="true"], [data-theme="light"], [theme="light"], .vscode-light)'
)


def themed(selector: str, light: str, dark: str) -> str:
    """Declare something twice: for light and for dark grounds."""
    return f"""
{selector} {{ {light} }}
@media screen and (prefers-color-scheme: dark) {{ {selector} {{ {dark} }} }}
@media screen {{
  {_DARK_HOST} {selector} {{ {dark} }}
  {_LIGHT_HOST} {selector} {{ {light} }}
}}"""


_COLOURS = themed(
    ".cc-page",
    "--cc-quiet: #57606a; --cc-edge: #d0d7de; --cc-ground: #f6f8fa; "
    "--cc-new: #fdeccb; --cc-back: #c2410c;",
    "--cc-quiet: #9aa4af; --cc-edge: #3d444d; --cc-ground: #1b2027; "
    "--cc-new: #453513; --cc-back: #fb923c;",
)

_PROSE = """
.cc-page { line-height: 1.5; container-type: inline-size; overflow-wrap: break-word; }
.cc-page code { font-family: MONOSPACE; font-size: .95em; background: var(--cc-ground);
  color: inherit; padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere; }
.cc-page code span { white-space: nowrap; }
.cc-page pre { font-family: MONOSPACE; white-space: pre; overflow-x: auto; line-height: 1.35;
  text-align: left; font-variant-ligatures: none; font-size: .92em; margin: .8em 0;
  padding: 0; background: none; color: inherit; }
.cc-page pre, .cc-page .cc-wide { max-width: 100%; }
.cc-page figure { margin: 1em 0; overflow-x: auto; }
.cc-page figure svg { min-width: var(--cc-legible); }
.cc-page section { border-top: 1px solid var(--cc-edge); margin-top: 2em; }
.cc-page h1 { line-height: 1.3; }
.cc-page h1 code { background: none; padding: 0; font-size: .8em; }
.cc-page p.cc-note { color: var(--cc-quiet); max-width: 54em; }
.cc-page .cc-quiet { color: var(--cc-quiet); }
.cc-page p.cc-note:last-child { margin-bottom: 0; }
"""

_FORMULAS = """
.cc-page math { font-family: "STIX Two Math", "Latin Modern Math", "Libertinus Math",
  "Cambria Math", "DejaVu Math TeX Gyre", math; font-size: 1.12em; }
.cc-page math[display="block"] { width: fit-content; margin: 0; }
.cc-page mtd { text-align: left; padding: .1em 0; }
.cc-page munder mtd { text-align: -webkit-center; text-align: center; }
.cc-page .cc-formula { margin: .9em 0; }
.cc-page .cc-tight { display: none; }
.cc-page .cc-equation, .cc-page .cc-where { display: flex; flex-wrap: wrap;
  align-items: baseline; padding-left: 1.5em; row-gap: .2em; column-gap: .3em; }
.cc-page .cc-where { column-gap: .8em; margin-top: .35em; }
.cc-page .cc-left, .cc-page .cc-where > span { flex: 0 1 auto; max-width: 100%;
  margin-left: -1.5em; }
.cc-page .cc-right { flex: 1 1 var(--cc-least, 9em); min-width: 0; }
.cc-page .cc-conditions { flex: 1 1 9em; min-width: 0; }
.cc-page .cc-conditions > span { display: inline-block; margin: 0 1.6em .2em 0; }
.cc-page .cc-right math, .cc-page .cc-left math { padding: .12em 0; }
.cc-page math .cc-new { background: var(--cc-new); border-radius: 3px; }
.cc-page .cc-factors { display: flex; flex-wrap: wrap; gap: 0 2.5em; }
.cc-page .cc-factors math { padding: 2px; margin: .5em 0; flex: none; }
.cc-page .cc-factors mtd { math-style: compact; padding: .3em .45em;
  text-align: -moz-right; text-align: -webkit-right; }
"""

# Notebooks have rules for the elements of lists and tables that have to be taken back.
_LISTS = """
.cc-page ol, .cc-page ul, .cc-page li { float: none; width: auto; }
.cc-page ol { padding-left: 2.2em; }
.cc-page li { display: list-item; }
.cc-page ol.cc-steps > li { margin: .9em 0; max-width: 54em; }
.cc-page ol.cc-steps b { font-weight: 600; }
.cc-page dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3em 1em;
  float: none; width: auto; overflow: visible; margin: 1em 0; padding: 0; }
.cc-page dt, .cc-page dd { display: block; float: none; width: auto; margin: 0; padding: 0; }
.cc-page dt, .cc-page th { color: var(--cc-quiet); font-weight: 500; text-align: left; }
.cc-page .cc-wide { overflow-x: auto; margin: .8em 0; }
.cc-page table { border-collapse: collapse; float: none; table-layout: auto; width: auto;
  margin: 0; color: inherit; font-size: inherit; border: none; }
.cc-page tr { background: none; padding: 0; }
.cc-page td, .cc-page th { padding: .25em .9em .25em 0; line-height: inherit; text-align: left;
  border: none; border-bottom: 1px solid var(--cc-edge); vertical-align: top; max-width: none; }
.cc-page th { vertical-align: bottom; }
.cc-page td.cc-number, .cc-page th.cc-number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.cc-page tr.cc-block td, .cc-page tfoot td { font-weight: 600; }
.cc-page tfoot td { border-bottom: none; }
.cc-page dl.cc-notes { color: var(--cc-quiet); font-size: .9em; gap: 0 .8em; margin: .2em 0; }
.cc-page .cc-told { margin: 1em 0; }
.cc-page .cc-told .cc-told { margin: .5em 0 .5em .4em; padding-left: 1em;
  border-left: 3px solid var(--cc-back); }
.cc-page .cc-told p.cc-note { margin: .2em 0; }
"""

# What a reader of the whole page has beside it.
_HELP = """
.cc-page .cc-copies { margin: .2em 0 .8em; display: flex; flex-wrap: wrap; gap: .5em; }
.cc-page .cc-copies[hidden] { display: none; }
.cc-page .cc-copies button { font: inherit; font-size: .8em; color: var(--cc-quiet);
  background: var(--cc-ground); border: 1px solid var(--cc-edge); border-radius: 4px;
  padding: .15em .7em; cursor: pointer; }
.cc-page .cc-copies button:hover, .cc-page .cc-copies button:focus-visible { color: inherit; }
.cc-page nav ul { list-style: none; padding: 0; margin: 1em 0; display: flex; flex-wrap: wrap;
  gap: .2em 1.4em; }
.cc-page nav a { color: inherit; text-decoration-color: var(--cc-quiet);
  text-underline-offset: .2em; }
"""

# Rows of a table become blocks in which each figure stands behind its name.
_NARROW = """
@container (max-width: 600px) {
  .cc-page .cc-roomy { display: none; }
  .cc-page .cc-tight { display: block; }
  .cc-page .cc-conditions { flex-basis: 100%; }
  .cc-page h1 { font-size: 1.35em; }
  .cc-page dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .cc-page dd { margin-bottom: .5em; }
  .cc-page dl.cc-notes { grid-template-columns: max-content minmax(0, 1fr); }
  .cc-page ol { padding-left: 1.6em; }
  .cc-page .cc-told .cc-told { margin-left: 0; padding-left: .7em; }
  .cc-page .cc-wide thead { display: none; }
  .cc-page .cc-wide :is(table, tbody, tfoot, tr, td) { display: block; }
  .cc-page .cc-wide tr { border-bottom: 1px solid var(--cc-edge); padding: .4em 0; }
  .cc-page .cc-wide td { border: none; padding: .1em 0; }
  .cc-page .cc-wide td.cc-number { display: inline-block; text-align: left; margin-right: 1.2em; }
  .cc-page .cc-wide td.cc-number::before { content: attr(data-label) " ";
    color: var(--cc-quiet); font-weight: 400; }
  .cc-page .cc-wide td:empty { display: none !important; }
  .cc-page .cc-wide td:first-child:not(:has(code)) { font-weight: 600; }
}
"""

_PAPER = """
@media print {
  .cc-page section { break-before: page; border-top: none; margin-top: 0; }
  .cc-page :is(.cc-formula, figure, tr, dl, .cc-steps > li, p) { break-inside: avoid; }
  .cc-page :is(h2, h3) { break-after: avoid; }
  .cc-page :is(nav, .cc-copies) { display: none; }
  .cc-page :is(.cc-wide, pre) { overflow: visible; }
  .cc-page pre { white-space: pre-wrap; }
  .cc-page code { background: none; padding: 0; }
}
"""

STYLE = (
    (_COLOURS + _PROSE + _FORMULAS + _LISTS + _HELP + _NARROW + _PAPER)
    .replace("MONOSPACE", MONOSPACE)
    .replace(".cc-page", PAGE)
)

DOCUMENT_STYLE = """
:root { color-scheme: light dark; }
body { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  color: #1f2328; background: #ffffff; max-width: 66rem; margin: 2.5rem auto; padding: 0 1.5rem; }
@media screen and (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #0f1318; } }
@media (max-width: 600px) { body { margin: 1rem auto; padding: 0 1rem; } }
@media print { :root { color-scheme: light; } body { margin: 0; max-width: none; padding: 0; } }
"""
