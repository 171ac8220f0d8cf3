"""A submission kit for Kaggle's image-classification playgrounds: from joined to scored.

`python -m kit` lists the commands; `import kit` costs nothing: every room is imported when it is entered.
"""

from kit import interrupts as _interrupts

__version__ = "0.1.0"

if _interrupts.started_as_command():
    _interrupts.stop_quietly()
