"""The configuration's JSON Schema, for editors and other tools: `python -m config.schema` writes config/schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from config.model import Configuration

SCHEMA: Final = Path(__file__).with_name("schema.json")


def schema_text() -> str:
    """What schema.json must hold: made from the models and their docstrings, keys as in carebell.yaml."""
    schema = Configuration.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
