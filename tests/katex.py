"""KaTeX, which typesets LaTeX on pages, asked for many strings at once by one process of node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

import pytest

_READ = """
const katex = require("katex");
const strings = JSON.parse(require("fs").readFileSync(0, "utf8"));
const options = { throwOnError: true, strict: "error", displayMode: true };
const refused = [];
for (const latex of strings) {
  try { katex.renderToString(latex, options); }
  catch (error) { refused.push([latex, error.message]); }
}
console.log(JSON.stringify(refused));
"""


def refused(strings: Sequence[str]) -> list[tuple[str, str]]:
    """The strings that KaTeX does not compile, with what it says.

    It is found where node finds it: in ``node_modules`` here or above, or along ``NODE_PATH``.
    """
    node = _node()
    if node is None:
        pytest.skip("there is no node, or it finds no katex")
    done = subprocess.run(
        [node, "-e", _READ], input=json.dumps(strings), capture_output=True, text=True, check=True
    )
    return [(latex, message) for latex, message in json.loads(done.stdout)]


@cache
def _node() -> str | None:
    node = shutil.which("node")
    if node is None:
        return None
    there = subprocess.run([node, "-e", "require('katex')"], capture_output=True, check=False)
    return node if there.returncode == 0 else None
