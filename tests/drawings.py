"""What tests check in a figure."""

import itertools

from matplotlib.text import Text

from kit.figures import style


def texts(figure) -> list[str]:
    """All texts in a figure."""
    return [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text")) if text.get_text()]


def is_png(figure) -> bool:
    """Whether the figure can be drawn."""
    return style.png(figure, 30).startswith(b"\x89PNG")


def overlapping(labels) -> list[tuple[str, str]]:
    """The pairs of texts that cover each other by more than a pixel; the figure has to be drawn before."""
    boxes = [(label.get_text(), Text.get_window_extent(label)) for label in labels]
    return [
        (first, second)
        for (first, a), (second, b) in itertools.combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
