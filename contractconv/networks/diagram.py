"""A network as a picture: what its parts are, what they make, and what flows between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contractconv.markup.parts import article, figure
from contractconv.networks.display.drawing import drawn
from contractconv.networks.display.picture import picture
from contractconv.networks.regions import Regions
from contractconv.networks.traced import Traced


@dataclass(frozen=True)
class NetworkDiagram:
    """A picture, which shows itself in a notebook; as text it is SVG.

    Attributes:
        name: the network's.
        svg: the picture.
    """

    name: str
    svg: str

    def save(self, path: str | Path) -> None:
        """Write the picture to a file, ``network.svg``."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def __str__(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<diagram of the network {self.name}>"

    def _repr_html_(self) -> str:
        return article([figure(self.svg)])


def diagram(network: Traced, name: str) -> NetworkDiagram:
    """Draw a network.

    Args:
        network: the network.
        name: what it is called.
    """
    return NetworkDiagram(name, drawn(picture(Regions(network)), name))
