"""Where the boxes of a graph stand on a page, and how the lines between them run. Lengths are inches, y grows down."""

import math
from dataclasses import dataclass, field

BOX = 0.8  # a box's height
STEP = 1.14  # from box to box, downwards
GUTTER = 0.45  # right of every lane, for lines that skip boxes
APART = 0.13  # between two lines side by side
MARGIN = 0.3
WIDE = 16 / 9
LEAVE, ENTER = 0.2, -0.2  # where a skipping line leaves and enters a box's side, from its middle


@dataclass
class Plan:
    """A graph arranged on a page.

    Attributes:
        places: each node's centre (x, y).
        lines: polylines, each a list of points.
        arrows: (tip, tail) of each arrowhead.
        width, height: the page's.
    """

    places: list[tuple[float, float]]
    lines: list[list[tuple[float, float]]] = field(default_factory=list)
    arrows: list[tuple] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class _Spot:
    column: int
    row: int
    lane: int


class _Tracks:
    """Parallel lines side by side: each gets the first track that is free along its way."""

    def __init__(self):
        self.taken: dict = {}

    def free(self, where, start: float, end: float) -> int:
        """Take and return the first track at `where` that nobody uses between `start` and `end`."""
        lines = self.taken.setdefault(where, [])
        used = {track for first, last, track in lines if first < end and start < last}
        track = next(number for number in range(len(used) + 1) if number not in used)
        lines.append((start, end, track))
        return track

    def count(self, where) -> int:
        """How many tracks are in use at `where`."""
        return max((track + 1 for _, _, track in self.taken.get(where, [])), default=0)


def arrange(inputs: list[tuple[int, ...]], box_width: float) -> Plan:
    """Arrange a directed graph in columns that are read downwards, from left to right.

    Args:
        inputs: for each node the numbers of those before it, all smaller than its own.
        box_width: of every node's box.

    Returns:
        The places of all nodes, and the lines between them.
    """
    spots = _spots(inputs, box_width)
    rows = 1 + max(spot.row for spot in spots)
    beside, below = _Tracks(), _Tracks()
    # Lines between columns come first, since their number decides how far apart the columns stand. All lines from one
    # box to one column are a single line that forks at its end.
    jumps = {}
    for node, before in enumerate(inputs):
        for one in before:
            if spots[one].column != spots[node].column:
                jumps.setdefault((one, spots[node].column), []).append(node)
    under = {key: below.free("page", spots[key[0]].column, key[1]) for key in jumps}
    between = {key: beside.free(("gap", key[1]), -1, rows) for key in jumps}
    lane_width = box_width + GUTTER
    lefts, x = [], MARGIN
    for column in range(1 + max(spot.column for spot in spots)):
        x += APART * max(beside.count(("gap", column)) - 1, 0) + (0.12 if column else 0)
        lefts.append(x)
        x += lane_width * (1 + max(spot.lane for spot in spots if spot.column == column))
    top = 0.15 + (0.25 if jumps else 0)
    plan = Plan([], width=x + MARGIN - 0.2, height=top + rows * STEP + 0.1 + APART * below.count("page"))
    plan.places = [
        (lefts[spot.column] + spot.lane * lane_width + box_width / 2, top + (spot.row + 0.5) * STEP) for spot in spots
    ]
    draw = _Pen(plan, spots, box_width, beside)
    for node, before in enumerate(inputs):
        for one in before:
            if spots[one].column == spots[node].column:
                draw.inside(one, node)
    for (source, column), targets in jumps.items():
        bottom = top + rows * STEP + 0.05 + APART * under[source, column]
        draw.across(source, targets, lefts[column] - 0.2 - APART * between[source, column], bottom)
    return plan


class _Pen:
    """Draws the lines of a plan."""

    def __init__(self, plan, spots, box_width, beside):
        self.plan, self.spots, self.half, self.beside = plan, spots, box_width / 2, beside

    def inside(self, source: int, target: int) -> None:
        """Draw a line within a column: straight to the next row, else down the gutter beside the lane."""
        (from_x, from_y), (to_x, to_y) = self.plan.places[source], self.plan.places[target]
        above, below = self.spots[source], self.spots[target]
        if below.row == above.row + 1:
            if below.lane == above.lane:
                self.plan.arrows.append(((to_x, to_y - BOX / 2), (from_x, from_y + BOX / 2)))
            else:
                self._from_above([(from_x, from_y + BOX / 2)], target)
            return
        x = self._gutter(source, below.row)
        start = [(from_x + self.half, from_y + LEAVE), (x, from_y + LEAVE)]
        if below.lane == above.lane:
            self.plan.lines.append([*start, (x, to_y + ENTER)])
            self.plan.arrows.append(((to_x + self.half, to_y + ENTER), (x, to_y + ENTER)))
        else:
            self._from_above(start, target)

    def across(self, source: int, targets: list[int], gap: float, bottom: float) -> None:
        """Draw a line to another column: down, along the page's bottom, up the `gap` before the column, and in."""
        from_x, from_y = self.plan.places[source]
        here = self.spots[source]
        if any(s.column == here.column and s.lane == here.lane and s.row > here.row for s in self.spots):
            x = self._gutter(source, 10**6)
            start = [(from_x + self.half, from_y + LEAVE), (x, from_y + LEAVE), (x, bottom)]
        else:
            start = [(from_x, from_y + BOX / 2), (from_x, bottom)]
        for target in targets:
            to_x, to_y = self.plan.places[target]
            if self.spots[target].lane or not self.spots[target].row:
                self._from_above([*start, (gap, bottom)], target)
            else:
                self.plan.lines.append([*start, (gap, bottom), (gap, to_y + ENTER)])
                self.plan.arrows.append(((to_x - self.half, to_y + ENTER), (gap, to_y + ENTER)))

    def _gutter(self, source: int, last_row: int) -> float:
        """Take a track in the gutter right of `source`, down to `last_row`, and return its x."""
        spot = self.spots[source]
        track = self.beside.free((spot.column, spot.lane), spot.row, last_row)
        return self.plan.places[source][0] + self.half + 0.17 + track * APART

    def _from_above(self, way: list, target: int) -> None:
        """Go on vertically from the end of `way` to above `target`, over its middle, and down into it."""
        x, y = self.plan.places[target]
        over = y - BOX / 2 - 0.2
        # The main line comes down in the middle; one from a gutter beside it.
        x += 0 if way[-1][0] < x else self.half / 3
        self.plan.lines.append([*way, (way[-1][0], over), (x, over)])
        self.plan.arrows.append(((x, y - BOX / 2), (x, over)))


def _spots(inputs, box_width) -> list[_Spot]:
    """Give every node its column, row and lane; the longest way through the graph keeps to the left."""
    levels: list[int] = []
    for before in inputs:
        levels.append(1 + max((levels[one] for one in before), default=-1))
    ways = [0] * len(inputs)
    for node in reversed(range(len(inputs))):
        for before in inputs[node]:
            ways[before] = max(ways[before], ways[node] + 1)
    firsts = _columns(levels, inputs, box_width)
    spots: dict[int, _Spot] = {}
    for level in range(max(levels) + 1):
        column = max(number for number, first in enumerate(firsts) if first <= level)
        here = sorted((node for node in range(len(inputs)) if levels[node] == level), key=lambda node: -ways[node])
        used: set[int] = set()
        for node in here:
            near = [spots[one].lane for one in inputs[node] if spots[one].column == column]
            lane = min(near, default=0)
            while lane in used:
                lane += 1
            used.add(lane)
            spots[node] = _Spot(column, level - firsts[column], lane)
    return [spots[node] for node in range(len(inputs))]


def _columns(levels, inputs, box_width) -> list[int]:
    """The first level of each column, chosen for a wide page and few lines from column to column."""
    depth = max(levels) + 1
    lanes = max(levels.count(level) for level in range(depth))
    rows = max(6, math.ceil(math.sqrt(depth * (box_width + GUTTER) * lanes / STEP / WIDE)) + 1)
    firsts = [0]
    while depth - firsts[-1] > rows:
        cuts = range(firsts[-1] + max(3, rows - 2), firsts[-1] + rows + 1)
        firsts.append(min(cuts, key=lambda cut: (_crossing(levels, inputs, cut), -cut)))
    return firsts


def _crossing(levels, inputs, cut) -> int:
    """How many boxes above the level `cut` are read at or below it."""
    return len(
        {one for node, before in enumerate(inputs) if levels[node] >= cut for one in before if levels[one] < cut}
    )
