"""Ways that were taken lately: a branch begins with their steps, and the model need not take them again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Generic, TypeVar

from explorer.records import Recipe

REMEMBERED = 2
"""Ways whose steps are kept: the one that branches turn off, and the last of them."""

T = TypeVar("T")


class Trunks(Generic[T]):
    """The last ways by their recipes; `T` is a step."""

    def __init__(self) -> None:
        self._ways: OrderedDict[Recipe, tuple[T, ...]] = OrderedDict()

    def known(self, recipe: Recipe) -> tuple[T, ...]:
        """The steps up to a recipe's last branch, where the way that it turns off is remembered."""
        if not recipe.branches:
            return ()
        trunk, step = replace(recipe, branches=recipe.branches[:-1]), recipe.branches[-1].step
        if trunk not in self._ways:
            return ()
        self._ways.move_to_end(trunk)
        way = self._ways[trunk]
        return way[:step] if step < len(way) else ()

    def remember(self, recipe: Recipe, way: tuple[T, ...]) -> None:
        """Keep a way, and forget the one that nobody asked for longest."""
        self._ways[recipe] = way
        self._ways.move_to_end(recipe)
        while len(self._ways) > REMEMBERED:
            self._ways.popitem(last=False)
