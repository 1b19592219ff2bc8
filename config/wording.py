"""pydantic's errors in an administrator's words, at the line of the key, with "did you mean"."""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.problems import Keys, Problem, SourceLocation, key_path

_PATTERNS: Final[dict[str, str]] = {
    "before": "must be a number and a unit: 15m, 24h, 7d or 2w",
    "approvers": "must be a user name of the portal: 2 to 64 of a-z, 0-9 and . _ @ -",
    "version": "must be a version of HL7 v2, such as 2.5.1",
    "client_id": "must be the client id as the other side shows it, without blanks",
    "segment": "must be a segment's name: three capital letters or digits",
    "account_sid": "must be Twilio's account SID: AC and 32 letters or digits",
}
"""What a key with a pattern wants, by the key's name."""
_KEY_PATTERNS: Final[dict[str, str]] = {
    "fields": "must be a field's number, 1 to 99",
    "messages": "is not an event such as confirmed, cannot_come.ask or connected.patient",
    "interactions": "is not an event such as confirmed, cannot_come.ask or connected.patient",
    "statuses": "is not an event such as connected, or connected.patient",
}
"""The same where keys are free, by the name of what they stand in."""

_NAME: Final = "an environment's name is letters, digits, `_`, `.` and `-`, at most 80"

_FIXED: Final[dict[str, str]] = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "list_type": "must be a list: [one, two]",
    "dict_type": "must be a section with keys of its own",
    "model_type": "must be a section with keys of its own",
    "model_attributes_type": "must be a section with keys of its own",
    "path_type": "must be a file name",
    "string_unicode": "has characters that are not text",
}


def explain(
    error: ValidationError,
    root: type[BaseModel],
    where: Callable[[Keys], SourceLocation],
    prefix: Keys = (),
) -> list[Problem]:
    """Every finding of `error` as a Problem.

    Args:
        root: the model that was validated; unknown keys are compared with its fields, nested ones included.
        where: the place of a key, or of its nearest parent.
        prefix: keys above `root` in the file.
    """
    problems: list[Problem] = []
    meant: set[str] = set()
    # Values and contexts stay out of the text, so no secret and no number can get into it.
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "extra_forbidden":
            keys = _keys(detail)
            guess = suggestion(root, keys)
            if guess is not None:
                meant.add(key_path((*keys[:-1], *guess.split("."))))
            hint = "" if guess is None else f" (did you mean {guess}?)"
            problems.append(Problem.at(where((*prefix, *keys)), (*prefix, *keys), f"unknown key{hint}"))
    for detail in details:
        keys = _keys(detail)
        if detail["type"] == "extra_forbidden" or (detail["type"] == "missing" and key_path(keys) in meant):
            continue  # a misspelt key is one mistake, not two
        problems.append(Problem.at(where((*prefix, *keys)), (*prefix, *keys), _why(detail, keys)))
    return problems


def _keys(detail: ErrorDetails) -> Keys:
    """pydantic's location without the `[key]` mark of a wrong dictionary key."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def _why(detail: ErrorDetails, keys: Keys) -> str:
    kind = detail["type"]
    context = detail.get("ctx", {})
    given = detail.get("input")
    if detail["loc"] and detail["loc"][-1] == "[key]":
        if kind == "literal_error":
            return _choice(str(context.get("expected", "")), given)
        if kind == "string_pattern_mismatch" and keys[-2] in _KEY_PATTERNS:
            return _KEY_PATTERNS[str(keys[-2])]
        return (
            _NAME
            if keys[0] == "environments" and len(keys) == 2
            else "cannot be a key here: it is blank or cannot be seen"
        )
    if given is None and kind != "missing" and kind not in ("value_error", "assertion_error"):
        return "has no value"
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "string_type":
        if keys and keys[-1] == "before":
            return _PATTERNS["before"]
        return "must be text; put it in quotes" if isinstance(given, (int, float)) else "must be text"
    if kind == "literal_error":
        return _choice(str(context.get("expected", "")), given)
    if kind == "string_pattern_mismatch":
        name = next((str(key) for key in reversed(keys) if isinstance(key, str)), "")
        return _PATTERNS.get(name, "is not written as it must be")
    if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        words = {
            "greater_than_equal": "at least",
            "greater_than": "more than",
            "less_than_equal": "at most",
            "less_than": "less than",
        }
        return f"must be {words[kind]} {str(next(iter(context.values()))).removesuffix('.0')}"
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "string_too_long":
        return f"must not be longer than {context['max_length']} characters"
    if kind == "too_short":
        return f"needs at least {context['min_length']}"
    if kind == "too_long":
        return f"may have at most {context['max_length']}"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", "is not acceptable"))
    return f"is not acceptable ({kind})"


def _choice(expected: str, given: object) -> str:
    """pydantic gives the choices as `'a', 'b' or 'c'`."""
    choices = [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]
    near = difflib.get_close_matches(given.lower(), choices, n=1) if isinstance(given, str) else []
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"must be {_listed(choices)}{hint}"


def _listed(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def suggestion(root: type[BaseModel], keys: Keys) -> str | None:
    """What an unknown key was meant to be, as a path relative to its section (`listener.port`), or None.

    First a similar name in the same section; then the same name further inside (`port` beside `listener` instead of in it);
    then the same name further out, told as `time_zone in environments.test`; then similar names further inside.
    """
    wrong = str(keys[-1])
    parent = _model_at(root, keys[:-1])
    if parent is None:
        return None
    alias = getattr(parent.model_fields.get(wrong), "alias", None)
    if alias is not None:
        return str(alias)  # the model's own name for a key: `sender` for `from`
    spelt = wrong.lower().replace("-", "_")
    inside = [name for name, _ in _names(parent)]
    here = {name: name for name in inside if "." not in name}
    last = {name.rpartition(".")[2]: name for name in reversed(inside)}
    return (
        _near(spelt, here, 0.8)
        or last.get(wrong)
        or _further_out(root, keys)
        or _near(spelt, last, 0.8)
        or _near(spelt, here, 0.7)
    )


def _near(wrong: str, names: Mapping[str, str], cutoff: float) -> str | None:
    near = difflib.get_close_matches(wrong, list(names), n=1, cutoff=cutoff)
    return names[near[0]] if near else None


def _further_out(root: type[BaseModel], keys: Keys) -> str | None:
    wrong = str(keys[-1])
    for depth in range(len(keys) - 2, -1, -1):
        outer = _model_at(root, keys[:depth])
        if outer is not None and any(name == wrong for name, _ in _names(outer)):
            return f"{wrong} in {key_path(keys[:depth])}" if depth else f"{wrong} at the top"
    return None


def _names(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        written = f"{prefix}{info.alias or name}"
        yield written, info.annotation
        inner = _section(info.annotation)
        if inner is not None:
            yield from _names(inner, f"{written}.")


def _model_at(root: type[BaseModel], keys: Keys) -> type[BaseModel] | None:
    annotation: Any = root
    for key in keys:
        model = _section(annotation)
        if model is not None:
            fields = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
            if key not in fields:
                return None
            annotation = fields[str(key)]
        else:
            inner = [part for part in _parts(annotation) if get_origin(part) in (dict, list)]
            if not inner:
                return None
            annotation = get_args(inner[0])[-1]
    return _section(annotation)


def _section(annotation: Any) -> type[BaseModel] | None:
    sections = [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return sections[0] if sections else None


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; a single type is a union of one."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
