"""A configuration as text and back: what is in force, kept where commands find it when the file on disk is broken.

The text is JSON: the values as `config.model` writes them with absolute paths, the field maps, the texts, the out-maps and what
`join.words` says. It holds no secret: no field whose type is a secret, wherever it stands, and no database URL (no other URL may
have a password, `config.values`). It holds no telephone number of `allow_list` and `force_to` either: it lies in the database,
where no number may stand in the clear.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from config.document import read_shipped
from config.fhir_map import FhirMap
from config.fieldmap import FieldMap
from config.load import HERE, Loaded, Templates
from config.model import Configuration
from config.outmap import OutMap
from config.status_map import ConnectionStatusMap


def to_text(loaded: Loaded) -> str:
    """`loaded` without its secrets and places."""
    configuration = loaded.configuration
    values = configuration.model_dump(mode="json", by_alias=True, exclude=secret_fields(configuration))
    return json.dumps(
        {
            "configuration": _without_url_and_numbers(values),
            "field_maps": {
                name: field_map.model_dump(mode="json", by_alias=True) for name, field_map in loaded.field_maps.items()
            },
            "templates": {name: templates.texts for name, templates in loaded.templates.items()},
            "out_maps": {name: out_map.model_dump(mode="json") for name, out_map in loaded.out_maps.items()},
            "fhir_maps": {name: fhir_map.model_dump(mode="json") for name, fhir_map in loaded.fhir_maps.items()},
            "status_maps": {name: status.model_dump(mode="json") for name, status in loaded.status_maps.items()},
            "page_words": loaded.page_words,
        },
        separators=(",", ":"),
    )


def from_text(text: str, *, path: Path, version: str, url: str) -> Loaded:
    """What `to_text` wrote.

    Args:
        path: the configuration file that it was read from.
        version: that the file had when it was read.
        url: of the database, which is not written.

    Raises:
        ValueError: the text is not of this version of the program.
    """
    try:
        written = json.loads(text)
        values = written["configuration"]
        values["storage"] = {**values["storage"], "url": url}
        configuration = Configuration.model_validate(values, by_alias=True, by_name=False)
        field_maps = {name: FieldMap.model_validate(field_map) for name, field_map in written["field_maps"].items()}
        out_maps = {name: OutMap.model_validate(out_map) for name, out_map in written.get("out_maps", {}).items()}
        fhir_maps = {name: FhirMap.model_validate(fhir_map) for name, fhir_map in written.get("fhir_maps", {}).items()}
        status_maps = {
            name: ConnectionStatusMap.model_validate(status) for name, status in written.get("status_maps", {}).items()
        }
        page_words = dict(written.get("page_words", {}))
        templates = {name: Templates(texts=texts, places={}) for name, texts in written["templates"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # pydantic's and json's are ValueErrors
        raise ValueError("the stored configuration cannot be read") from error
    return Loaded(
        configuration=configuration,
        path=path,
        version=version,
        field_maps=field_maps,
        templates=templates,
        out_maps=out_maps,
        fhir_maps=fhir_maps,
        status_maps=status_maps,
        page_words=page_words,
        answer_rows=dict(read_shipped(HERE / "answers.yaml").values),
        files=(path,),
        places={},
    )


def secret_fields(section: BaseModel) -> dict[Any, Any]:
    """Where secrets stand in `section` and in all sections, lists and mappings below it, as `model_dump(exclude=...)` takes it."""
    return _secret_items((name, getattr(section, name)) for name in type(section).model_fields)


def _secret_items(items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    excluded: dict[Any, Any] = {}
    for key, value in items:
        if isinstance(value, SecretStr | SecretBytes):
            excluded[key] = True
        elif isinstance(value, BaseModel):
            excluded[key] = secret_fields(value)
        elif isinstance(value, Mapping):
            excluded[key] = _secret_items(value.items())
        elif isinstance(value, list | tuple):
            excluded[key] = _secret_items(enumerate(value))
    return {key: below for key, below in excluded.items() if below}


def _without_url_and_numbers(values: dict[str, Any]) -> dict[str, Any]:
    """`values`, changed."""
    values["storage"].pop("url")
    for environment in values["environments"].values():
        sms = environment["sms"]
        if sms["allow_list"] is not None or sms["force_to"] is not None:
            sms["allow_list"], sms["force_to"] = [], None
    return values
