"""The generated JSON Schema."""

from __future__ import annotations

import json

from config.schema import SCHEMA, schema_text


def test_the_file_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run: python -m config.schema"


def test_it_names_keys_as_they_are_written_and_describes_them() -> None:
    schema = json.loads(schema_text())
    sms = schema["$defs"]["SmsSettings"]["properties"]

    assert "from" in sms
    assert "sender" not in sms
    assert sms["debounce"]["pattern"] == "^[0-9]{1,6}[smhdw]$"
    assert schema["additionalProperties"] is False
    undescribed = [name for name, section in schema["$defs"].items() if "description" not in section]
    assert undescribed == []
