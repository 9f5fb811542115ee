"""The page in Chromium, answered by a process beside it and by Python in the browser itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from threading import Thread
from time import monotonic, sleep

import pytest
from browser import needs_browser
from devtools import Tab, opened
from page_judgements import faults_of

from contractconv.playground.answers import answer_json
from contractconv.playground.build import build
from contractconv.playground.examples import EXAMPLES, address
from contractconv.playground.server import server

pytestmark = needs_browser

PATIENCE = 120.0  # seconds; an idle machine needs three

RIGHT = {
    "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o": "b i j o, k l c o -> b (2*i+k-1) (2*j+l-1) c",
    "b (i+k) (j+l) c, k l c o -> b i j o": "b i j o, k l c o -> b (i+k) (j+l) c",
    "b (3*i+2*k-2) c, k c o -> b i o": "b i o, k c o -> b (3*i+2*k-2) c",
    "b h w c, h w c o -> b o": "b o, h w c o -> b h w c",
    "bhwc,kc->bhk": "b h k, k c -> b h w c",
    "(i-k), k -> i": "i, k -> (i-k)",
    "b i j c, k l c o -> b (2*i+k-1) (2*j+l-1) o": "b (2*i+k-1) (2*j+l-1) o, k l c o -> b i j c",
    "b (i+k-1) (g c), k g c o -> b i (g o)": "b i (g o), k g c o -> b (i+k-1) (g c)",
    "b (i+k) (j+l) (m+n), k l n -> b i j m": "b i j m, k l n -> b (i+k) (j+l) (m+n)",
    "i i -> i": "i -> i i",
    "i -> i i": "i i -> i",
    "... i, i o -> ... o": "... o, i o -> ... i",
    "((h-k)/2), k -> h": "h, k -> ((h-k)/2)",
    "(0) i -> i": "i -> (0) i",
    "b q d, b k d -> b q k": "b q k, b k d -> b q d",
}
# What is typed, and where it is underlined.
WRONG = {
    "b (2*i+k-1 c, k c o -> b i o": 2,
    "b (i+k)) c, k c -> b i": 7,
    "b i, i o -> b $": 14,
    "b (i+k) c, k c -> b (i**2)": 22,
    "b i, i o > b o": 9,
}


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a page that is answered by Python beside it."""
    with server(answer_json) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page in which Python runs itself: a file."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("the page without a server is built by node and npm")
    return build(tmp_path_factory.mktemp("page")).as_uri()


def until(tab: Tab, condition: str) -> None:
    """Wait until a condition of the page holds."""
    end = monotonic() + PATIENCE
    while not tab.run(f"(view) => {{ const page = view.document; return Boolean({condition}); }}"):
        assert monotonic() < end, f"{condition} never held; {said(tab)!r}"
        sleep(0.02)


def said(tab: Tab) -> str:
    """What the page says of its state."""
    return str(tab.run("(view) => view.document.getElementById('state').textContent"))


def text(tab: Tab, selector: str) -> list[str]:
    """The texts of elements."""
    found = tab.run(
        f"(view) => [...view.document.querySelectorAll('{selector}')].map((e) => e.textContent)"
    )
    return list(found)


def typed(tab: Tab, words: str, field: str = "spec") -> None:
    """Type something in the place of what a field says."""
    tab.run(f"(view) => {{ const f = view.document.getElementById('{field}');"
            " f.focus(); f.select(); }")  # fmt: skip
    tab.call("Input.insertText", text=words)


def asked(tab: Tab, fields: str) -> None:
    """Open an address of the same page, and wait for the answer."""
    tab.run(f"(view) => {{ view.location.hash = {fields!r}; }}")
    until(tab, f"decodeURIComponent(address) === decodeURIComponent({fields!r})")
    until(tab, "conversation.running === null")


@pytest.fixture(params=["served", "alone"], scope="module")
def tab(request: pytest.FixtureRequest) -> Iterator[Tab]:
    """The page, with its first answer, in both ways to be answered."""
    where = request.getfixturevalue(request.param)
    with opened(where + address(EXAMPLES[0].spec, EXAMPLES[0].shapes)) as found:
        found.run("(view) => { view.frames_seen = 0; const on = () => {"
                  " view.frames_seen += 1; view.requestAnimationFrame(on); }; on(); }")  # fmt: skip
        until(found, "page.querySelectorAll('.card').length === 3")
        # A process that is there answers within a few frames; Python in the browser starts first.
        least = {"served": 0, "alone": 5}[request.param]
        seen = found.run("(view) => view.frames_seen")
        assert seen > least, "the page froze until its first answer"
        yield found
        local = ("file:", "blob:", "data:", "http://127.0.0.1:")
        assert [url for url in found.loaded if not url.startswith(local)] == []
        assert found.complaints == []


def test_strings_are_answered_and_mistakes_are_underlined(tab: Tab) -> None:
    assert len(RIGHT) + len(WRONG) == 20
    for spec, gradient in RIGHT.items():
        typed(tab, spec)
        until(
            tab,
            f"page.querySelector('#card-0 dd')?.textContent === {gradient!r}"
            " && page.getElementById('fault').hidden",
        )
        assert text(tab, "#marks mark") == []
    for spec, place in WRONG.items():
        typed(tab, spec)
        until(tab, f"page.getElementById('fault').textContent.includes({spec!r})")
        assert tab.run(BEFORE_THE_MARK) == spec[:place]
        _, string, carets = text(tab, "#fault")[0].splitlines()[:3]
        assert carets.index("^") == string.index(spec) + place
        assert tab.run("(view) => view.document.activeElement.ariaInvalid") == "true"


BEFORE_THE_MARK = """(view) => {
  const range = view.document.createRange();
  range.setStart(view.document.getElementById('marks'), 0);
  range.setEndBefore(view.document.querySelector('#marks mark'));
  return range.toString();
}"""


def test_what_is_underlined_lies_under_what_was_typed(tab: Tab) -> None:
    typed(tab, next(iter(WRONG)))
    until(tab, "page.querySelector('#marks mark')")
    styles = """(view) => ['spec', 'marks'].map((id) => {
      const element = view.document.getElementById(id), style = view.getComputedStyle(element);
      const box = element.getBoundingClientRect(), rim = parseFloat(style.borderLeftWidth);
      return [style.font, style.letterSpacing, style.lineHeight, style.whiteSpace,
              box.left + rim + parseFloat(style.paddingLeft),
              box.top + rim + parseFloat(style.paddingTop),
              box.width - 2 * rim - 2 * parseFloat(style.paddingLeft)];
    })"""
    field, marks = tab.run(styles)
    assert field == marks


def test_panels_open_in_their_card_and_in_the_address(tab: Tab) -> None:
    asked(tab, address(EXAMPLES[0].spec, EXAMPLES[0].shapes))
    for panel, shows in (
        ("steps", "ol.cc-steps > li"),
        ("phases", "ol > li"),
        ("plan", "table"),
        ("torch", "pre"),
        ("copy", "button"),
    ):
        tab.run(f"(view) => view.document.querySelector('#card-0 [data-panel={panel}]').click()")
        until(tab, f"page.querySelector('#panel-0 {shows}')")
        assert text(tab, '#card-0 [aria-expanded="true"]') != []
        assert f"open=0.{panel}" in tab.run("(view) => view.location.hash")
    tab.run("(view) => view.document.querySelector('#card-0 [data-panel=copy]').click()")
    assert tab.run("(view) => view.document.getElementById('panel-0').hidden")
    asked(tab, address(EXAMPLES[0].spec, panels={1: "jax"}))
    until(tab, "page.querySelector('#panel-1 pre')?.textContent.includes('import jax')")


def test_fields_are_kept_in_the_address_and_come_from_it(tab: Tab) -> None:
    asked(tab, address("(s*i+k) -> i", ["20"], reduce="max", parameters="s", values="k=3 s=2"))
    until(tab, "page.querySelector('#card-layer').textContent.includes('(9,)')")
    typed(tab, "k=4 s=2", "values")
    until(tab, "page.querySelector('#card-layer').textContent.includes('of 4')")
    assert "values=k%3D4%20s%3D2" in tab.run("(view) => view.location.hash")
    typed(tab, "21x2", "shape-0")
    until(tab, "!page.getElementById('notice').hidden")
    assert "operand 0 has 2 axes" in text(tab, "#notice")[0]
    assert len(text(tab, ".card")) == 2


def test_the_page_and_the_library_say_the_same_address(tab: Tab) -> None:
    given = {"spec": "b (i+1) (s*j) -> b i j", "reduce": "max", "parameters": "s",
             "names": "x! -> (y)'", "shapes": ["2x5x9"], "output_shape": "2x9x3",
             "values": "s=2"}  # fmt: skip
    for fields in (given, *(example.as_dict() for example in EXAMPLES)):
        said = {name: value for name, value in fields.items() if name != "title"}
        typing = "".join(
            f"view.document.getElementById({name!r}).value = {value!r};"
            for name, value in said.items()
            if name != "shapes"
        )
        tab.run(f"(view) => {{ {typing} shapes = {[*said['shapes']]!r}; open = {{}};"
                " intoAddress(); }")  # fmt: skip
        assert tab.run("(view) => view.location.hash") == address(**said)
        tab.run("(view) => { show({}); fromAddress(); intoAddress(); }")
        assert tab.run("(view) => view.location.hash") == address(**said)


def test_an_example_fills_the_fields(tab: Tab) -> None:
    number = next(n for n, one in enumerate(EXAMPLES) if one.reduce == "max")
    tab.run(
        f"(view) => {{ const e = view.document.getElementById('example'); e.value = {number};"
        " e.dispatchEvent(new Event('change')); }"
    )
    until(tab, "conversation.running === null && page.querySelectorAll('.card').length === 2")
    chosen = "(view) => ['spec', 'reduce'].map((id) => view.document.getElementById(id).value)"
    assert tab.run(chosen) == [EXAMPLES[number].spec, "max"]


def test_only_the_answer_to_what_stands_there_is_shown(tab: Tab) -> None:
    """While one string is answered, others are typed: all but the last are dropped."""
    asked(tab, address(EXAMPLES[0].spec, EXAMPLES[0].shapes))
    tab.run(
        "(view) => { view.shown = []; new MutationObserver(() => view.shown.push("
        "view.document.querySelector('#card-layer dd').textContent))"
        ".observe(view.document.getElementById('cards'), {childList: true}); }"
    )
    strings = [f"b ({n}*i+k), k -> b i" for n in range(2, 8)]
    changes = "".join(f"spec.value = {s!r}; changed();" for s in strings)
    tab.run(f"(view) => {{ const spec = view.document.getElementById('spec'); {changes} }}")
    until(tab, f"page.querySelector('#card-layer dd').textContent === {strings[-1]!r}")
    assert tab.run("(view) => view.shown") == [strings[-1]]


def test_the_page_goes_on_while_python_works(tab: Tab) -> None:
    asked(tab, address(EXAMPLES[0].spec, EXAMPLES[0].shapes))
    before = tab.run("(view) => view.frames_seen")
    tab.run("(view) => view.document.querySelector('#card-0 [data-panel=certificate]').click()")
    until(tab, "page.querySelector('#panel-0 :is(pre, .cc-page)')")
    assert tab.run("(view) => view.frames_seen") > before


def test_nothing_is_clipped_or_faint_at_any_width(tab: Tab) -> None:
    asked(tab, address(EXAMPLES[0].spec, EXAMPLES[0].shapes, panels={0: "steps", 1: "plan"}))
    until(tab, "page.querySelector('#panel-0 ol') && page.querySelector('#panel-1 table')")
    own = tab.run("(view) => view.location.href.replace(/[^/]*$/, '')")
    assert faults_of(tab, own) == []
    typed(tab, next(iter(WRONG)))
    until(tab, "page.querySelector('#marks mark')")
    assert faults_of(tab, own) == []
    tab.view(1280)


def test_what_takes_too_long_is_stopped_and_python_starts_again(tab: Tab) -> None:
    asked(tab, address(EXAMPLES[0].spec, EXAMPLES[0].shapes))
    tab.run(
        "(view) => { view.document.querySelector('#card-0 [data-panel=certificate]').click();"
        " view.setTimeout(() => engine.restart('stopped')); }"
    )
    until(tab, "page.querySelector('#panel-0 pre')?.textContent === 'stopped'")
    typed(tab, "b i, i o -> o b")
    until(tab, "page.querySelector('#card-0 dd')?.textContent === 'o b, i o -> b i'")
