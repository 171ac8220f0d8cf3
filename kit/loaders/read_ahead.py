"""Reading that goes on while what was read is worked on."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield `items`, while a thread fetches the next one; of use where fetching is waiting or decompressing."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(next, iterator, end)
        while (item := ahead.result()) is not end:
            ahead = reader.submit(next, iterator, end)
            yield item
