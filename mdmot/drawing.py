"""What all plots share: colours, panels, and the way to SVG."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
TARGET_COLOUR = "#BBBBBB"


class Picture(Figure):
    """A figure that a notebook shows as it is returned, whatever its backend."""

    def _repr_svg_(self) -> str:
        return svg(self)


def panels(count: int, columns: int, width: float, height: float) -> tuple[Picture, list[Axes]]:
    """A figure of some panels, `height` inches a row."""
    rows = -(-count // columns)
    figure = Picture(figsize=(width, height * rows), layout="constrained")
    return figure, list(np.ravel(figure.subplots(rows, columns, squeeze=False)))[:count]


def svg(figure: Figure) -> str:
    """The figure as an SVG element, its text as text, and the same bytes every time."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "mdmot", "font.family": "sans-serif"}
    ):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
