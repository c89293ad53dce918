"""Drawing for studies: SVG in the colours of the report, for a page or as a file of its own.

`canvas` has the drawing and its parts, `curves` lines with bands over steps or sizes, `dots` values with intervals beside
their nulls, `heat_maps` grids; `axes`, `bands` and `digits` are what these stand on.
"""

from heldout.studies.drawing.axes import Axis, axis_around
from heldout.studies.drawing.bands import BandPoint, band
from heldout.studies.drawing.canvas import WIDTH, Drawing, box, legend, line, standalone, text
from heldout.studies.drawing.curves import Frame, Line, frame_around, plot, sign, spans, x_axis
from heldout.studies.drawing.digits import short_count, three_digits
from heldout.studies.drawing.dots import Dot, DotPlot, Row, dot_sign, null_sign

__all__ = [
    "WIDTH",
    "Axis",
    "BandPoint",
    "Dot",
    "DotPlot",
    "Drawing",
    "Frame",
    "Line",
    "Row",
    "axis_around",
    "band",
    "box",
    "dot_sign",
    "frame_around",
    "legend",
    "line",
    "null_sign",
    "plot",
    "short_count",
    "sign",
    "spans",
    "standalone",
    "text",
    "three_digits",
    "x_axis",
]
