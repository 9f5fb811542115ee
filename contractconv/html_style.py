"""What HTML needs to look the same on every page, whatever stylesheet the page has."""

from __future__ import annotations

from html import escape

MONOSPACE = (
    "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
)


def preformatted(text: str) -> str:
    """Return text whose columns stand below each other; what is too wide scrolls.

    Notebooks have rules for this element that an attribute overrides: a font of their own, and
    lines that are broken where the window ends.
    """
    style = (
        f"font-family: {MONOSPACE}; white-space: pre; overflow-x: auto; line-height: 1.35; "
        "text-align: left; font-variant-ligatures: none"
    )
    return f'<pre style="{style}">{escape(text)}</pre>'
