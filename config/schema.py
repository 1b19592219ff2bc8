"""The configuration's JSON Schema, for editors and other tools: `python -m config.schema` writes config/schema.json.

The texts of its keys are the docstrings under them in the models. They are read here, from the source, and not by the models
themselves: a command that reads carebell.yaml needs none of them.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from config.model import Configuration

SCHEMA: Final = Path(__file__).with_name("schema.json")


def schema_text() -> str:
    """What schema.json must hold: made from the models and their docstrings, keys as in carebell.yaml."""
    schema = Configuration.model_json_schema(by_alias=True, schema_generator=_Described)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


class _Described(GenerateJsonSchema):
    """Adds to each key what its docstring says."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        described = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        for name, text in field_docstrings(model).items():
            described["properties"][model.model_fields[name].alias or name]["description"] = text
        return described


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """A model's field -> the string that stands under it, without the indentation; those of the classes above it too."""
    above = [cls for cls in reversed(model.__mro__) if issubclass(cls, BaseModel) and cls is not BaseModel]
    return {name: text for cls in above for name, text in _own_docstrings(cls)}


def _own_docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    [written] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(written, ast.ClassDef)
    for field, below in zip(written.body, written.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield field.target.id, inspect.cleandoc(below.value.value)


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
