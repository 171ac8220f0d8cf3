"""What tests ask of a figure."""

from kit.figures import style


def texts(figure) -> list[str]:
    """All that is written in a figure."""
    return [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text")) if text.get_text()]


def is_png(figure) -> bool:
    """Whether the figure can be drawn."""
    return style.png(figure, 30).startswith(b"\x89PNG")
