"""A form's fields and the keys of the configuration that they stand for; problems of keys as errors of fields. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from config.edit import Edit
from config.problems import Keys, key_path
from portal.forms import FieldError, Form
from portal.proposals import SettingProblem

_STOP: Final = re.compile(r"[.!?]$")
EMPTY: Final = "Nothing was changed. Change a value first, or go back."


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationField:
    """One field.

    Attributes:
        name: of the form's field. label: as the page says it.
        keys: below the environment.
    """

    name: str
    label: str
    keys: Keys


def key_fields(environment: str, fields: Iterable[ConfigurationField]) -> dict[str, ConfigurationField]:
    """Key, written as problems write it -> field."""
    return {key_path(("environments", environment, *field.keys)): field for field in fields}


def field_errors(problems: Sequence[SettingProblem], fields: Mapping[str, ConfigurationField]) -> list[FieldError]:
    """Each problem beside the field of its key, or of the nearest key above it; otherwise it stands at the top with its key."""
    errors = []
    for problem in problems:
        field = _field_of(problem.key, fields)
        if field is None:
            errors.append(FieldError(field="", sentence=_sentence(problem.key, problem.why)))
        else:
            errors.append(FieldError(field=field.name, sentence=_sentence(field.label, problem.why)))
    return errors


def _field_of(key: str, fields: Mapping[str, ConfigurationField]) -> ConfigurationField | None:
    while key:
        if key in fields:
            return fields[key]
        key = key[: max(key.rfind("."), key.rfind("["))] if "." in key or "[" in key else ""
    return None


def _sentence(subject: str, why: str) -> str:
    words = f"{subject}: {why}" if subject else f"{why[:1].upper()}{why[1:]}"
    return words if _STOP.search(words) else f"{words}."


def changed(environment: str, before: Mapping[Keys, Any], after: Mapping[Keys, Any]) -> list[Edit]:
    """An edit for each key, below the environment, whose value is another one."""
    return [
        Edit(("environments", environment, *keys), value)
        for keys, value in after.items()
        if keys not in before or before[keys] != value
    ]


def lines(form: Form, name: str) -> list[str]:
    """What stands in a field of several lines, without empty ones."""
    return [line.strip() for line in form.raw(name).splitlines() if line.strip()]


def whole_number(form: Form, name: str, label: str) -> int | FieldError:
    """A whole number, not negative, of at most nine digits."""
    written = form.text(name)
    if re.fullmatch(r"[0-9]{1,9}", written) is None:
        return FieldError(field=name, sentence=f"{label}: must be a whole number.")
    return int(written)


def variables_of(
    variables: Mapping[str, str], environment: str, fields: Iterable[ConfigurationField]
) -> dict[str, str]:
    """Field -> the environment variable that sets its key, one above it or one below it: no page can change it then."""
    set_by: dict[str, str] = {}
    for key, field in key_fields(environment, fields).items():
        for set_key, variable in variables.items():
            if key == set_key or _is_below(key, set_key) or _is_below(set_key, key):
                set_by[field.name] = variable
    return set_by


def _is_below(key: str, above: str) -> bool:
    return key.startswith((f"{above}.", f"{above}["))
