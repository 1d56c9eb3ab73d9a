"""How the report's plots are drawn: without pyplot's global state, in colours that can be swapped.

In the page every colour is a stand-in that becomes a CSS variable, so that one drawing serves the
light and the dark scheme. Text stays text: it can be read aloud, searched and takes the page's
font. In files the light scheme's colours are drawn. The same report gives the same bytes.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lob_backtest.contenders import MODEL
from lob_backtest.report.style import LIGHT, N_STRATEGIES
from lob_backtest.report.words import text

# SVG user units, near the widths they are shown at, so that text stays legible on a phone.
WIDE, NARROW = (420, 280), (340, 270)
FONT = 12.5
DASHED = (0, (4, 3))
_DOTS_PER_INCH = 72
_FILE_DOTS_PER_INCH = 160
_LARGEST = 1.3


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of one drawing; in the page they are stand-ins for CSS variables."""

    ink: str
    muted: str
    line: str
    accent: str
    surface: str
    good: str
    bad: str
    strategies: tuple[str, ...]

    def strategy(self, name: str, names: Sequence[str]) -> str:
        """A strategy's colour among all strategies of the report."""
        if name == MODEL:
            return self.accent
        if name == "flat":
            return self.muted
        others = [other for other in sorted(names) if other not in (MODEL, "flat")]
        return self.strategies[others.index(name) % len(self.strategies)]


_NAMES = ("ink", "muted", "line", "accent", "surface", "good", "bad")
_STRATEGIES = tuple(f"strategy-{i}" for i in range(N_STRATEGIES))
# Stand-in -> CSS variable; all of one length, so that none is the beginning of another.
_VARIABLES = {f"#0a{i:04d}": name for i, name in enumerate((*_NAMES, *_STRATEGIES))}


def _palette(colours: Mapping[str, str]) -> Palette:
    return Palette(
        **{name: colours[name] for name in _NAMES},
        strategies=tuple(colours[name] for name in _STRATEGIES),
    )


PAGE = _palette({name: stand_in for stand_in, name in _VARIABLES.items()})
FILE = _palette(LIGHT)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plot:
    """A finished figure of matplotlib, and what it shows in one sentence."""

    figure: Any
    label: str


Draw = Callable[[Mapping[str, Any], Palette], Plot | None]


def strategy_variable(name: str, names: Sequence[str]) -> str:
    """The CSS variable in which a strategy is drawn, among all strategies of the report."""
    return _VARIABLES[PAGE.strategy(name, names)]


def new_figure(size: tuple[float, float], *, laid_out: bool = True) -> Any:
    """An empty figure of a size in user units, with nothing behind it."""
    from matplotlib.figure import Figure

    inches = (size[0] / _DOTS_PER_INCH, size[1] / _DOTS_PER_INCH)
    figure = Figure(figsize=inches, dpi=_DOTS_PER_INCH, layout="constrained" if laid_out else None)
    figure.patch.set_visible(False)
    return figure


def one_axes(title: str, palette: Palette, *, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure with one dressed pair of axes."""
    figure = new_figure(size)
    axes = figure.add_subplot()
    dress(axes, title, palette)
    return figure, axes


def dress(axes: Any, title: str, palette: Palette, *, grid: str = "y") -> None:
    """Quiet axes: the title says what goes up, a line below, and a grid along one axis."""
    axes.patch.set_visible(False)
    axes.set_title(title, loc="left", color=palette.muted, fontsize=FONT)
    axes.tick_params(colors=palette.muted, labelsize=FONT, length=3)
    axes.xaxis.label.set_fontsize(FONT)
    axes.xaxis.label.set_color(palette.muted)
    if grid == "x":  # figures to the right, names below each other: room for few ticks
        axes.locator_params(axis="x", nbins=4)
    axes.grid(axis=grid, color=palette.line, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(palette.line)


def line_of(name: str, names: Sequence[str], palette: Palette) -> dict[str, Any]:
    """How a strategy's line is drawn: the model's broad and in front, flat dashed."""
    colour = palette.strategy(name, names)
    if name == MODEL:
        return {"color": colour, "linewidth": 2.4, "zorder": 4, "markersize": 5}
    style = DASHED if name == "flat" else "-"
    return {"color": colour, "linewidth": 1.2, "linestyle": style, "markersize": 3.5}


def page_svg(plot: Plot) -> str:
    """The drawing as an SVG element with an accessible name and the page's colours."""
    drawing = _svg_text(plot.figure)
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"<style[^>]*>.*?</style>", "", drawing, flags=re.DOTALL)
    # names of groups would repeat from plot to plot
    drawing = re.sub(r'<g id="[A-Za-z_0-9.]+"(/?)>', r"<g\1>", drawing)
    drawing = re.sub(r" *<!--.*?-->\n?", "", drawing)
    drawing = re.sub(r"<svg[^>]*>", _opening(plot), drawing, count=1)
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, f"var(--{variable})")
    return drawing.strip()


def file_svg(plot: Plot) -> str:
    """The drawing as an SVG file of its own, on the light surface."""
    return _svg_text(_on_surface(plot.figure))


def file_png(plot: Plot) -> bytes:
    """The drawing as a PNG file on the light surface."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    target = io.BytesIO()
    figure = _on_surface(plot.figure)
    FigureCanvasAgg(figure)
    figure.savefig(target, format="png", dpi=_FILE_DOTS_PER_INCH, metadata={"Software": None})
    return target.getvalue()


def _on_surface(figure: Any) -> Any:
    """The figure with something behind it, so that a dark viewer does not shine through."""
    figure.patch.set_visible(True)
    figure.patch.set_facecolor(LIGHT["surface"])
    return figure


def _svg_text(figure: Any) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    target = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    with matplotlib.rc_context({"svg.hashsalt": "lob_backtest", "svg.fonttype": "none"}):
        canvas.print_svg(target, metadata={"Date": None, "Creator": None})
    return target.getvalue()


def _opening(plot: Plot) -> str:
    width, height = (round(_DOTS_PER_INCH * side) for side in plot.figure.get_size_inches())
    widest = f"max-width:{round(_LARGEST * width)}px"  # beyond that, letters only get larger
    return (
        f'<svg viewBox="0 0 {width} {height}" style="{widest}" role="img" '
        f'aria-label="{text(plot.label)}">'
    )
