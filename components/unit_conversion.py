"""Exact conversion of units (factors: NIST Special Publication 811, 2008, appendix B; the tool's
shape: Cobbe et al. 2021, section 4.1, with units instead of sums).

`5 km to miles`: an amount, a unit, "to" or "in", another unit of the same kind. Factors are exact
fractions, results are rounded to 10 significant digits. No model calls of its own. Requires "steps"
and "tools".
"""

from __future__ import annotations

import re
from fractions import Fraction

from paragent.component import Component, Tool
from paragent.errors import nearest

F = Fraction

#: Kind -> names of a unit -> its size in the kind's first unit.
UNITS: dict[str, dict[str, Fraction]] = {
    "length": {
        "m metre meter": F(1),
        "km kilometre kilometer": F(1000),
        "cm centimetre centimeter": F("0.01"),
        "mm millimetre millimeter": F("0.001"),
        "in inch inches": F("0.0254"),
        "ft foot feet": F("0.3048"),
        "yd yard": F("0.9144"),
        "mi mile": F("1609.344"),
        "nmi nautical_mile": F(1852),
    },
    "mass": {
        "kg kilogram kilo": F(1),
        "g gram": F("0.001"),
        "mg milligram": F("0.000001"),
        "t tonne": F(1000),
        "lb lbs pound": F("0.45359237"),
        "oz ounce": F("0.028349523125"),
        "st stone": F("6.35029318"),
    },
    "time": {
        "s sec second": F(1),
        "ms millisecond": F("0.001"),
        "min minute": F(60),
        "h hr hour": F(3600),
        "d day": F(86400),
        "week": F(604800),
    },
    "volume": {
        "l litre liter": F(1),
        "ml millilitre milliliter": F("0.001"),
        "m3 cubic_metre cubic_meter": F(1000),
        "gal gallon": F("3.785411784"),
        "qt quart": F("0.946352946"),
        "pt pint": F("0.473176473"),
        "cup": F("0.2365882365"),
        "fl_oz fluid_ounce": F("0.0295735295625"),
    },
    "area": {
        "m2 sqm square_metre square_meter": F(1),
        "km2 square_kilometre square_kilometer": F(1_000_000),
        "ha hectare": F(10_000),
        "acre": F("4046.8564224"),
        "ft2 sqft square_foot square_feet": F("0.09290304"),
    },
    "speed": {
        "m/s mps": F(1),
        "km/h kmh kph": F(5, 18),
        "mph mi/h": F("0.44704"),
        "kn knot": F(463, 900),
    },
    "data": {
        "b byte": F(1),
        "kb kilobyte": F(1000),
        "mb megabyte": F(10**6),
        "gb gigabyte": F(10**9),
        "tb terabyte": F(10**12),
        "kib kibibyte": F(2**10),
        "mib mebibyte": F(2**20),
        "gib gibibyte": F(2**30),
    },
    "energy": {
        "j joule": F(1),
        "kj kilojoule": F(1000),
        "cal calorie": F("4.184"),
        "kcal kilocalorie": F(4184),
        "wh watt_hour": F(3600),
        "kwh kilowatt_hour": F(3_600_000),
    },
    "temperature": {"k kelvin": F(1), "c °c celsius": F(1), "f °f fahrenheit": F(5, 9)},
}
#: Degrees to add before the factor: kelvin = (amount + shift) * factor.
SHIFT = {"c": F("273.15"), "f": F("459.67")}

_NAMES = {
    name: (kind, names.split()[0], size)
    for kind, units in UNITS.items()
    for names, size in units.items()
    for name in names.split()
}
_ASKED = re.compile(
    r"\s*([-+]?[\d,]*\.?\d+(?:e[-+]?\d{1,2})?)\s*(.+?)\s+(?:to|in|into|as)\s+(.+?)\s*\??\s*", re.I
)


def convert(text: str) -> str:
    """The amount in the unit asked for, with its name. Raises ValueError with what is wrong."""
    asked = _ASKED.fullmatch(text)
    if asked is None or len(text) > 100:
        raise ValueError("wanted an amount and two units, for example: 5 km to miles")
    amount = Fraction(asked[1].replace(",", ""))
    (kind, one, size), (other, two, unit) = _unit(asked[2]), _unit(asked[3])
    if kind != other:
        raise ValueError(f"{asked[2]} is {kind}, {asked[3]} is {other}")
    found = (amount + SHIFT.get(one, 0)) * size / unit - SHIFT.get(two, 0)
    return f"{float(found):.10g} {asked[3]}"


def _unit(text: str) -> tuple[str, str, Fraction]:
    name = "_".join(text.lower().removeprefix("degrees ").split()).rstrip(".")
    for form in (name, name.removesuffix("s"), name.removesuffix("es")):
        if form in _NAMES:
            return _NAMES[form]
    near = nearest(name, _NAMES)
    raise ValueError(f"no unit is called {text!r}" + (f"; did you mean {near}?" if near else ""))


TOOL = Tool(
    name="convert",
    description="Converts units, for example: 5 km to miles.",
    call=convert,
    instruction=". Convert units by writing <<5 km to miles>>",
    native_instruction=". Convert units with the tool",
    schema={
        "type": "object",
        "properties": {"conversion": {"type": "string", "description": "such as 5 km to miles"}},
        "required": ["conversion"],
        "additionalProperties": False,
    },
    argument="conversion",
)


UNIT_CONVERSION = Component(
    name="unit_conversion",
    kind="tool",
    summary="converts units of length, mass, time, volume, area, speed, data, energy, temperature",
    build=lambda: TOOL,
    calls=lambda params, inner: 0,
    requires=("steps", "tools"),
    paper="NIST Special Publication 811 (2008), appendix B; Cobbe et al. 2021, section 4.1",
)
