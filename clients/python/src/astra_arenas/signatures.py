"""Python functions that look like tools: annotations and a Google docstring made of a JSON Schema."""

from __future__ import annotations

import inspect
import json
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Literal

from .errors import Refused
from .records import Tool

__all__ = ["Parameter", "dressed", "parameters"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a tool.

    Attributes:
        hint: its type as Python says it; what that cannot say stands in about.
        about: for the model, on one line.
        nullable: whether null is a value of it; else null is taken as absent where it may be.
    """

    name: str
    hint: Any
    about: str
    required: bool
    nullable: bool


def parameters(tool: Tool) -> list[Parameter]:
    """List the arguments of a tool, those that it needs first, as Python wants it.

    Raises:
        Refused: an argument has a name that functions cannot have.
    """
    properties = tool.input.get("properties", {})
    required = set(tool.input.get("required", ()))
    listed = [_parameter(tool, name, schema, name in required) for name, schema in properties.items()]
    return sorted(listed, key=lambda p: not p.required)


def dressed(function: Callable[..., Any], name: str, about: str, listed: list[Parameter]) -> Callable[..., Any]:
    """Make a method, which takes any arguments by name, look like one that takes those listed.

    What Python reserves (`from`) cannot stand in a signature; it stands in the annotations, from
    which schemas are made, and its description says whether it is required.
    """
    receiver = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    shown = [receiver]
    annotations: dict[str, Any] = {}
    for p in listed:
        annotations[p.name] = p.hint
        if not keyword.iskeyword(p.name) and p.name != "self":
            default = inspect.Parameter.empty if p.required else None
            shown.append(inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=p.hint))
    annotations["return"] = str
    function.__name__ = name
    function.__qualname__ = name
    function.__annotations__ = annotations
    function.__signature__ = inspect.Signature(shown, return_annotation=str)  # type: ignore[attr-defined]
    function.__doc__ = _docstring(about, listed)
    return function


def _parameter(tool: Tool, name: str, schema: Any, required: bool) -> Parameter:
    if not name.isidentifier() or name == "return":
        raise Refused(f"tool {tool.name}: no Python function can have an argument {name!r}")
    schema = schema if isinstance(schema, Mapping) else {}
    hint = _hint(schema)
    about = _line(str(schema.get("description") or schema.get("title") or name))
    if _loses(schema):
        about += " As JSON Schema: " + json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    if required and (keyword.iskeyword(name) or name == "self"):
        about += " Required."
    return Parameter(name, hint, about, required, _takes_null(schema))


_SIMPLE: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": type(None),
    "object": dict[str, Any],
}


def _hint(schema: Mapping[str, Any]) -> Any:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values and all(isinstance(v, str | int | bool | None) for v in values):
        return Literal[tuple(values)]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _union([_hint(s) for s in schema[word]])
    kinds = schema.get("type", [])
    return _union([_of_type(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _of_type(kind: str, schema: Mapping[str, Any]) -> Any:
    if kind != "array":
        return _SIMPLE.get(kind, Any)
    items = schema.get("items")
    return list[_hint(items)] if isinstance(items, Mapping) else list[Any]  # type: ignore[misc]


def _union(hints: list[Any]) -> Any:
    return Any if not hints or Any in hints else reduce(or_, hints)


# What a hint says by itself, or what need not be said.
_SAID = {"type", "description", "title", "enum", "const", "default", "examples", "items"}


def _loses(schema: Mapping[str, Any]) -> bool:
    """Whether a model should see the schema itself: a hint cannot say what is in it."""
    items = schema.get("items")
    return bool(schema.keys() - _SAID) or (isinstance(items, Mapping) and bool(items.keys() - {"type", "enum"}))


def _takes_null(schema: Mapping[str, Any]) -> bool:
    if not schema or None in schema.get("enum", ()) or schema.get("const", 0) is None:
        return True
    kinds = schema.get("type", "")
    return "null" in ([kinds] if isinstance(kinds, str) else kinds) or any(
        _takes_null(s) for word in ("anyOf", "oneOf") for s in schema.get(word, ()) if isinstance(s, Mapping)
    )


def _docstring(about: str, listed: list[Parameter]) -> str:
    lines = [_line(about), ""]
    if listed:
        lines += ["Args:", *(f"    {p.name}: {p.about}" for p in listed), ""]
    return "\n".join([*lines, "Returns:", "    What the tool tells, as text."])


def _line(text: str) -> str:
    """One line, in which nothing reads as a section of a docstring, or as a list of choices."""
    text = " ".join(text.split())
    return re.sub(r"\b(Args|Returns|Raises):|\((choices):", lambda m: m[0][:-1] + " :", text, flags=re.IGNORECASE)
