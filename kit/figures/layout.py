"""Where the boxes of a graph are drawn, and the lines between them. Lengths are inches; y grows downwards."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

BOX_HEIGHT = 0.8
ROW_HEIGHT = 1.14
GUTTER = 0.45  # beside every lane, for the lines that skip boxes
LINE_DISTANCE = 0.13  # between parallel lines
MARGIN = 0.3
ASPECT = 16 / 9  # of a page
EXIT, ENTRY = 0.2, -0.2  # where a skip connection leaves and enters the side of a box, from its centre

Point = tuple[float, float]


@dataclass
class Page:
    """A graph arranged on a page.

    Attributes:
        centres: the centre of each node's box.
        lines: the points of each line.
        arrows: tip and tail of each arrowhead.
        width, height: the page's.
    """

    centres: list[Point]
    lines: list[list[Point]] = field(default_factory=list)
    arrows: list[tuple[Point, Point]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class _Cell:
    """A node's place in the grid: a page has columns, read from left to right, and a column has lanes side by side."""

    column: int
    row: int
    lane: int


class _Tracks:
    """Parallel lines in a corridor: each line takes the first track that is free along its length."""

    def __init__(self) -> None:
        self._taken: dict[object, list[tuple[float, float, int]]] = defaultdict(list)

    def take(self, corridor, start: float, end: float) -> int:
        """Take and return the first track of `corridor` that is free between `start` and `end`."""
        lines = self._taken[corridor]
        used = {track for first, last, track in lines if first < end and start < last}
        track = next(number for number in range(len(used) + 1) if number not in used)
        lines.append((start, end, track))
        return track

    def count(self, corridor) -> int:
        """How many tracks of `corridor` are taken."""
        return max((track + 1 for _, _, track in self._taken[corridor]), default=0)


def arrange(inputs: list[tuple[int, ...]], box_width: float) -> Page:
    """Arrange a directed acyclic graph in columns, which are read downwards and from left to right.

    Args:
        inputs: for each node the numbers of the nodes before it, all smaller than its own.
        box_width: the width of every box.

    Returns:
        The places of all nodes, and the lines between them.
    """
    cells = _cells(inputs, box_width)
    rows = 1 + max(cell.row for cell in cells)
    vertical, horizontal = _Tracks(), _Tracks()
    # Lines between columns come first, since their number decides the distance of the columns. All lines from one box
    # to one column are a single line that branches at its end.
    branches: dict[tuple[int, int], list[int]] = defaultdict(list)
    for node, sources in enumerate(inputs):
        for source in sources:
            if cells[source].column != cells[node].column:
                branches[source, cells[node].column].append(node)
    below = {key: horizontal.take("page", cells[key[0]].column, key[1]) for key in branches}
    between = {key: vertical.take(("column", key[1]), -1, rows) for key in branches}
    lane_width = box_width + GUTTER
    lefts, x = [], MARGIN
    for column in range(1 + max(cell.column for cell in cells)):
        x += LINE_DISTANCE * max(vertical.count(("column", column)) - 1, 0) + (0.12 if column else 0)
        lefts.append(x)
        x += lane_width * (1 + max(cell.lane for cell in cells if cell.column == column))
    top = 0.15 + (0.25 if branches else 0)
    bottom = top + rows * ROW_HEIGHT
    centres = [
        (lefts[cell.column] + cell.lane * lane_width + box_width / 2, top + (cell.row + 0.5) * ROW_HEIGHT)
        for cell in cells
    ]
    page = Page(centres, width=x + MARGIN - 0.2, height=bottom + 0.1 + LINE_DISTANCE * horizontal.count("page"))
    router = _Router(page, cells, box_width, vertical)
    for node, sources in enumerate(inputs):
        for source in sources:
            if cells[source].column == cells[node].column:
                router.within_column(source, node)
    for key, targets in branches.items():
        corridor_x = lefts[key[1]] - 0.2 - LINE_DISTANCE * between[key]
        router.between_columns(key[0], targets, corridor_x, bottom + 0.05 + LINE_DISTANCE * below[key])
    return page


class _Router:
    """Adds the lines between boxes to a page."""

    def __init__(self, page: Page, cells: list[_Cell], box_width: float, vertical: _Tracks):
        self._page, self._cells, self._half, self._vertical = page, cells, box_width / 2, vertical

    def within_column(self, source: int, target: int) -> None:
        """Add a line within a column: straight to the next row, else down the gutter beside the source's lane."""
        (from_x, from_y), (to_x, to_y) = self._page.centres[source], self._page.centres[target]
        upper, lower = self._cells[source], self._cells[target]
        same_lane = lower.lane == upper.lane
        if lower.row == upper.row + 1:
            if same_lane:
                self._page.arrows.append(((to_x, to_y - BOX_HEIGHT / 2), (from_x, from_y + BOX_HEIGHT / 2)))
            else:
                self._enter_from_above([(from_x, from_y + BOX_HEIGHT / 2)], target)
            return
        x = self._gutter_x(source, lower.row)
        start = [(from_x + self._half, from_y + EXIT), (x, from_y + EXIT)]
        if same_lane:
            self._page.lines.append([*start, (x, to_y + ENTRY)])
            self._page.arrows.append(((to_x + self._half, to_y + ENTRY), (x, to_y + ENTRY)))
        else:
            self._enter_from_above(start, target)

    def between_columns(self, source: int, targets: list[int], corridor_x: float, bottom: float) -> None:
        """Add a line to another column: down, along the bottom of the page, up the corridor, and into the boxes."""
        from_x, from_y = self._page.centres[source]
        own = self._cells[source]
        blocked = any(
            cell.column == own.column and cell.lane == own.lane and cell.row > own.row for cell in self._cells
        )
        if blocked:
            x = self._gutter_x(source, math.inf)
            start = [(from_x + self._half, from_y + EXIT), (x, from_y + EXIT), (x, bottom)]
        else:
            start = [(from_x, from_y + BOX_HEIGHT / 2), (from_x, bottom)]
        for target in targets:
            to_x, to_y = self._page.centres[target]
            if self._cells[target].lane or not self._cells[target].row:
                self._enter_from_above([*start, (corridor_x, bottom)], target)
            else:
                self._page.lines.append([*start, (corridor_x, bottom), (corridor_x, to_y + ENTRY)])
                self._page.arrows.append(((to_x - self._half, to_y + ENTRY), (corridor_x, to_y + ENTRY)))

    def _gutter_x(self, source: int, last_row: float) -> float:
        """Take a track in the gutter beside `source`, down to `last_row`, and return its x."""
        cell = self._cells[source]
        track = self._vertical.take((cell.column, cell.lane), cell.row, last_row)
        return self._page.centres[source][0] + self._half + 0.17 + track * LINE_DISTANCE

    def _enter_from_above(self, points: list[Point], target: int) -> None:
        """Continue vertically from the last of `points` to above `target`, over its centre, and down into it."""
        x, y = self._page.centres[target]
        above = y - BOX_HEIGHT / 2 - 0.2
        # A line that comes from a gutter on the right enters beside the one that enters at the centre.
        x += 0 if points[-1][0] < x else self._half / 3
        self._page.lines.append([*points, (points[-1][0], above), (x, above)])
        self._page.arrows.append(((x, y - BOX_HEIGHT / 2), (x, above)))


def _cells(inputs, box_width) -> list[_Cell]:
    """Give every node its column, row and lane; the longest path through the graph keeps to the left."""
    levels: list[int] = []
    for sources in inputs:
        levels.append(1 + max((levels[source] for source in sources), default=-1))
    path_lengths = [0] * len(inputs)
    for node in reversed(range(len(inputs))):
        for source in inputs[node]:
            path_lengths[source] = max(path_lengths[source], path_lengths[node] + 1)
    first_levels = _columns(levels, inputs, box_width)
    cells: dict[int, _Cell] = {}
    for level in range(max(levels) + 1):
        column = max(number for number, first in enumerate(first_levels) if first <= level)
        nodes = sorted((node for node in range(len(inputs)) if levels[node] == level), key=lambda n: -path_lengths[n])
        used: set[int] = set()
        for node in nodes:
            lane = min((cells[source].lane for source in inputs[node] if cells[source].column == column), default=0)
            while lane in used:
                lane += 1
            used.add(lane)
            cells[node] = _Cell(column, level - first_levels[column], lane)
    return [cells[node] for node in range(len(inputs))]


def _columns(levels, inputs, box_width) -> list[int]:
    """The first level of each column, chosen for a wide page and few lines between columns."""
    depth = max(levels) + 1
    lanes = max(levels.count(level) for level in range(depth))
    rows = max(6, math.ceil(math.sqrt(depth * (box_width + GUTTER) * lanes / ROW_HEIGHT / ASPECT)) + 1)
    first_levels = [0]
    while depth - first_levels[-1] > rows:
        cuts = range(first_levels[-1] + max(3, rows - 2), first_levels[-1] + rows + 1)
        first_levels.append(min(cuts, key=lambda cut: (_crossing(levels, inputs, cut), -cut)))
    return first_levels


def _crossing(levels, inputs, cut) -> int:
    """How many boxes above the level `cut` have outputs that are used at or below it."""
    below = (sources for node, sources in enumerate(inputs) if levels[node] >= cut)
    return len({source for sources in below for source in sources if levels[source] < cut})
