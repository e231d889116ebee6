"""Filters as expressions of Python: `field("altitude") < 10_000`, joined with `&`, `|` and `~`. They become the JSON notation of docs/FILTERS.md."""

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Words that begin something else where a path may stand.
KEYWORDS = frozenset(["not", "true", "false", "first", "whole", "within"])

Value: TypeAlias = str | int | float | bool | None
"""What a field is compared with."""


class Filter:
    """Says which events are wanted. `a & b` is both, `a | b` either, `~a` is what it does not let pass."""

    __slots__ = ("json",)

    def __init__(self, json: dict[str, Any]):
        # The JSON notation.
        self.json = json

    def __and__(self, other: "Filter") -> "Filter":
        return Filter({"and": [*self._parts("and"), *other._parts("and")]})

    def __or__(self, other: "Filter") -> "Filter":
        return Filter({"or": [*self._parts("or"), *other._parts("or")]})

    def __invert__(self) -> "Filter":
        return Filter({"not": self.json})

    def _parts(self, operator: str) -> list[Any]:
        """Of a filter that is joined by the same word its parts, so that chains stay flat."""
        parts = self.json.get(operator)
        return list(parts) if isinstance(parts, list) else [self.json]

    def __bool__(self) -> bool:
        raise TypeError("a filter is no truth of Python: join filters with & and | instead of `and` and `or`, write a.between(1, 2) for 1 < a < 2")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self.json == other.json

    def __hash__(self) -> int:
        return hash(repr(self.json))

    def __repr__(self) -> str:
        return f"Filter({self.json!r})"


class Field:
    """What is tested: a member of the payload, or of the event itself."""

    __slots__ = ("source",)

    def __init__(self, source: str):
        self.source = source

    def _test(self, operator: str, *values: Any) -> Filter:
        return Filter({operator: [self.source, *values]})

    def __eq__(self, value: Value) -> Filter:  # type: ignore[override]
        # Nothing compares with null, but for being it.
        return self.is_null() if value is None else self._test("eq", value)

    def __ne__(self, value: Value) -> Filter:  # type: ignore[override]
        return self.is_known() if value is None else self._test("ne", value)

    def __lt__(self, value: Value) -> Filter:
        return self._test("lt", value)

    def __le__(self, value: Value) -> Filter:
        return self._test("le", value)

    def __gt__(self, value: Value) -> Filter:
        return self._test("gt", value)

    def __ge__(self, value: Value) -> Filter:
        return self._test("ge", value)

    def __hash__(self) -> int:
        return hash(self.source)

    def is_in(self, values: Iterable[Value]) -> Filter:
        return self._test("in", list(values))

    def is_not_in(self, values: Iterable[Value]) -> Filter:
        return self._test("not_in", list(values))

    def between(self, low: Value, high: Value) -> Filter:
        """Both ends included, by one element if the field is a list."""
        return self._test("between", low, high)

    def matches(self, pattern: str) -> Filter:
        """`*` is any run of characters, `?` any one."""
        return self._test("glob", pattern)

    def like(self, pattern: str, *, ignore_case: bool = False) -> Filter:
        """In SQL's signs: `%` and `_`."""
        return self._test("ilike" if ignore_case else "like", pattern)

    def starts_with(self, text: str) -> Filter:
        return self._test("prefix", text)

    def ends_with(self, text: str) -> Filter:
        return self._test("suffix", text)

    def contains(self, text: str, *, ignore_case: bool = False) -> Filter:
        return self._test("icontains" if ignore_case else "contains", text)

    def regex(self, expression: str) -> Filter:
        """The syntax is that of the Rust crate `regex`."""
        return self._test("regex", expression)

    def exists(self) -> Filter:
        """It is there, be it null."""
        return Filter({"exists": self.source})

    def is_null(self) -> Filter:
        return Filter({"null": self.source})

    def is_known(self) -> Filter:
        """It is there and not null."""
        return Filter({"known": self.source})


class Area:
    """Part of the globe."""

    __slots__ = ("json",)

    def __init__(self, json: dict[str, Any]):
        self.json = json


def field(*names: str) -> Field:
    """A member of the payload: `field("position", "lat")` is `lat` in `position`. Names may hold any character."""
    if not names:
        raise TypeError("a field has a name")
    return Field(".".join(_quoted(name) for name in names))


def first(*fields: Field) -> Field:
    """The first of these fields that is in the payload."""
    return Field(f"first({', '.join(each.source for each in fields)})")


topic = Field("$topic")
key = Field("$key")
op = Field("$op")


def within(latitude: Field, longitude: Field, area: Area) -> Filter:
    """The position lies in the area, edges included."""
    return Filter({"within": [latitude.source, longitude.source, area.json]})


def box(south: float, west: float, north: float, east: float) -> Area:
    """Degrees; west greater than east crosses the antimeridian."""
    return Area({"box": [south, west, north, east]})


def circle(latitude: float, longitude: float, radius_m: float) -> Area:
    """Around a position in degrees, with a radius in metres."""
    return Area({"circle": [latitude, longitude, radius_m]})


def polygon(*points: tuple[float, float]) -> Area:
    """Latitude and longitude of each corner, in degrees; the last is joined to the first."""
    return Area({"polygon": [list(point) for point in points]})


def every(*filters: Filter) -> Filter:
    """All of them; without any it lets everything pass."""
    return Filter({"and": [each.json for each in filters]})


def any_of(*filters: Filter) -> Filter:
    """At least one of them; without any it lets nothing pass."""
    return Filter({"or": [each.json for each in filters]})


def _quoted(name: str) -> str:
    """A name as paths have it: words as they are, others in backticks."""
    if WORD.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    doubled = name.replace("`", "``")
    return f"`{doubled}`"
