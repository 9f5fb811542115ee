"""Explanations as HTML: formulas in MathML, diagrams in SVG, and nothing to load from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from contractconv.calculus.derivation_steps import Step
from contractconv.calculus.equation import Equation
from contractconv.display.algorithms import ROLES, Fast
from contractconv.display.diagram import diagram
from contractconv.display.equations import write, write_local
from contractconv.display.explanation import Explanation, Gradient
from contractconv.display.sentences import (
    counts,
    forward_forms,
    gradient_forms,
    letters,
    proof,
    words,
)
from contractconv.html_style import MONOSPACE
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan
from contractconv.planning.plan import Step as Planned
from contractconv.planning.report import notes
from contractconv.tiles.decomposition import Decomposition
from contractconv.tiles.tableau import IDENTITY, title, written

# A notebook's stylesheet names its elements behind two classes: these rules have three.
PAGE = ".cc-page.cc-page.cc-page"

_STYLE = """
.cc-page { --cc-quiet: #57606a; --cc-edge: #d0d7de; --cc-ground: #f6f8fa; line-height: 1.5; }
@media (prefers-color-scheme: dark) {
  .cc-page { --cc-quiet: #9aa4af; --cc-edge: #3d444d; --cc-ground: #1b2027; }
}
.cc-page code {
  font-family: MONOSPACE;
  background: var(--cc-ground); padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere; }
.cc-page math { font-family: "STIX Two Math", "Latin Modern Math", "Libertinus Math",
  "Cambria Math", "DejaVu Math TeX Gyre", math; font-size: 1.12em; margin: .5em 0;
  width: fit-content; max-width: 100%; overflow-x: auto; overflow-y: hidden; }
.cc-page mtd { math-style: normal; text-align: left; padding: .2em 0 .2em .4em; }
.cc-page figure { margin: 1em 0; }
.cc-page code span { white-space: nowrap; }
.cc-page section { border-top: 1px solid var(--cc-edge); margin-top: 2em; }
.cc-page h1 { line-height: 1.3; }
.cc-page h1 code { background: none; padding: 0; font-size: .8em; }
.cc-page p.cc-note { color: var(--cc-quiet); max-width: 54em; }
.cc-page ol.cc-steps > li { margin: .9em 0; max-width: 54em; }
.cc-page ol.cc-steps b { font-weight: 600; }
.cc-page ol { padding-left: 2.5em; }
.cc-page li { display: list-item; }
.cc-page ol, .cc-page li { float: none; width: auto; }
.cc-page dl { display: grid; grid-template-columns: max-content 1fr; gap: .3em 1em;
  float: none; width: auto; overflow: visible; margin: 1em 0; padding: 0; }
.cc-page dt, .cc-page dd { display: block; float: none; width: auto; margin: 0; padding: 0; }
.cc-page dt, .cc-page th { color: var(--cc-quiet); font-weight: 500; text-align: left; }
.cc-page table { border-collapse: collapse; display: block; overflow-x: auto; float: none;
  table-layout: auto; width: auto; margin: 0; color: inherit; font-size: inherit; }
.cc-page tr { background: none; padding: 0; }
.cc-page td, .cc-page th { padding: .25em .9em .25em 0; line-height: inherit; text-align: left;
  border-bottom: 1px solid var(--cc-edge); }
.cc-page td { vertical-align: top; }
.cc-page dl.cc-notes { color: var(--cc-quiet); font-size: .9em; gap: 0 .8em; margin: .2em 0; }
.cc-page .cc-factors { display: flex; flex-wrap: wrap; gap: 0 2.5em; }
.cc-page .cc-factors math { padding: 2px; }
.cc-page .cc-factors mtd { math-style: compact; padding: .3em .45em;
  text-align: -moz-right; text-align: -webkit-right; }
.cc-page td.cc-number { text-align: right; font-variant-numeric: tabular-nums; }
""".replace("MONOSPACE", MONOSPACE).replace(".cc-page", PAGE)

_DOCUMENT_STYLE = """
:root { color-scheme: light dark; }
body { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  color: #1f2328; background: #ffffff; max-width: 66rem; margin: 2.5rem auto; padding: 0 1.5rem; }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #0f1318; } }
"""


def page(explanation: Explanation) -> str:
    """Return a complete HTML document."""
    return document(str(explanation.spec), fragment(explanation))


def document(title: str, body: str) -> str:
    """Return a complete HTML document around what shows something."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_DOCUMENT_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def fragment(explanation: Explanation) -> str:
    """Return an explanation to stand in a page or a notebook."""
    spec, plan = explanation.spec, explanation.plan
    parts = [
        f"<h1>{code(spec)}</h1>",
        _definitions(_strings(forward_forms(spec))),
        write(explanation.forward, "mathml"),
        note(words(explanation)),
        note("" if plan is None else counts(explanation, plan)),
        _picture(spec, explanation.forward),
        _plan(plan),
        *(_gradient(gradient) for gradient in explanation.gradients),
        _fast(explanation.fast),
    ]
    return article(parts)


def card(spec: Spec, equation: Equation) -> str:
    """Return one contraction, its formula and its diagram."""
    parts = [f"<p>{code(spec)}</p>", write(equation, "mathml"), _picture(spec, equation)]
    return article(parts)


def _gradient(gradient: Gradient) -> str:
    formulas = gradient.formulas
    again = [
        (f"again, by {s.by}", code(s) if s.same_as is None and s.parts else escape(str(s)))
        for s in gradient.seconds
    ]
    parts = [
        f"<h2>Gradient by {escape(gradient.name)}</h2>",
        _definitions([*_strings(gradient_forms(gradient)), *again]),
        write(formulas.collected, "mathml"),
        note(letters(gradient)),
        _picture(formulas.gather, formulas.collected),
        "<h3>Derivation</h3>",
        f'<ol class="cc-steps">{_steps(gradient.steps)}</ol>',
        note(proof(gradient)),
        _plan(gradient.plan, f"Plan of d{gradient.name}"),
    ]
    return f"<section>{''.join(parts)}</section>"


def _strings(forms: Iterable[tuple[str, Spec]]) -> list[tuple[str, str]]:
    return [(name, code(spec)) for name, spec in forms]


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in pairs)
    return f"<dl>{items}</dl>" if items else ""


def _steps(steps: Iterable[Step]) -> str:
    items = []
    before: Equation | None = None
    for step in steps:
        formula = "" if step.equation == before else write(step.equation, "mathml")
        string = "" if step.string is None else f"<p>{code(step.string)}</p>"
        said = f"<b>{step.name}</b> {escape(step.sentence)}"
        local = "" if step.local is None else write_local(step.local, "mathml")
        items.append(f"<li>{said}{formula}{local}{string}</li>")
        before = step.equation
    return "".join(items)


def _picture(spec: Spec, equation: Equation) -> str:
    drawing = diagram(spec, [factor.name for factor in equation.factors], equation.left.name)
    return f"<figure>{drawing}</figure>"


def _plan(plan: Plan | None, title: str = "Plan") -> str:
    if plan is None:
        return ""
    rows = [(code(s.problem), f"{s.flops:,}", _how(s)) for s in plan.steps]
    return f"<h3>{escape(title)}</h3>" + _table(("contraction", "operations", "how"), rows)


def _how(step: Planned) -> str:
    said = "".join(f"<dt>{about}</dt><dd>{escape(text)}</dd>" for about, text in notes(step))
    return escape(step.lowering) + (f'<dl class="cc-notes">{said}</dl>' if said else "")


def _fast(fast: Fast | None) -> str:
    if fast is None:
        return ""
    parts = [
        "<h2>Fast algorithm</h2>",
        note(fast.idea()),
        IDENTITY["mathml"],
        note(fast.roles()),
        _definitions((role, escape(form)) for role, form in ROLES.items()),
        _definitions((name, escape(said)) for name, said in fast.savings()),
        note(fast.proof()),
        *map(_tile, fast.tiles),
    ]
    return f"<section>{''.join(parts)}</section>"


def _tile(tile: Decomposition) -> str:
    points = ", ".join(map(written, tile.points))
    return (
        f"<h3>{escape(title(tile))}</h3>{note(f'The products are evaluated at {points}.')}"
        f'<div class="cc-factors">{tile.mathml()}</div>'
    )


def _table(head: Sequence[str], rows: Iterable[tuple[str, str, str]]) -> str:
    titles = "".join(f"<th>{title}</th>" for title in head)
    body = "".join(
        f'<tr><td>{first}</td><td class="cc-number">{second}</td><td>{third}</td></tr>'
        for first, second, third in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def article(parts: Iterable[str]) -> str:
    """What shows something, with its style."""
    return f'<article class="cc-page"><style>{_STYLE}</style>{"".join(parts)}</article>'


def note(text: str) -> str:
    """A sentence below what it is about; nothing if there is none."""
    return f'<p class="cc-note">{escape(text)}</p>' if text else ""


def code(content: object) -> str:
    """A string, which may be broken between axes but not inside one."""
    words = escape(str(content)).split(" ")
    return f"<code>{' '.join(f'<span>{word}</span>' for word in words)}</code>"
