"""The answers about a new environment, step by step, as the section that carebell.yaml would have. Pure.

An answer is a form's field with its values. What a step's answers lack or have wrong is said with the words of the configuration's
own rules, so that the last step brings no surprise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from config.model import Configuration, Environment, ListenerSection, Replies
from config.problems import Keys, SourceLocation
from config.wording import explain
from portal.edit_forms import feed, sms
from portal.edit_forms.fields import ConfigurationField, field_errors, key_fields
from portal.forms import FieldError, Form
from portal.proposals import SettingProblem

Answers = Mapping[str, tuple[str, ...]]

STEPS: Final = {
    "name": "Name and kind",
    "address": "FHIR base URL",
    "approver": "Approver",
    "feed": "Feed",
    "sms": "SMS notifications",
    "answers": "Check your answers",
}
DONE: Final = "done"
"""The answer that names the steps whose answers were right."""
CERTIFICATE: Final = "certificate"
"""The answer that holds the uploaded certificate, as text."""
KINDS: Final = (
    ("production", "Production", "Patients get its texts."),
    ("test", "Test", "Only the numbers that you allow get its texts."),
)
RESERVED: Final = "new"
"""No environment's name: it is the address of the page that adds one."""
_FEED: Final = tuple(
    field for field in feed.FIELDS if field.name not in ("enabled", "ehr", "fhir_base_url", "time_zone")
)
_FIELDS: Final[Mapping[str, tuple[ConfigurationField, ...]]] = {
    "name": (
        ConfigurationField(name="kind", label="Kind", keys=("kind",)),
        ConfigurationField(name="time_zone", label="Time zone", keys=("time_zone",)),
        ConfigurationField(name="ehr", label="EHR", keys=("ehr",)),
    ),
    "address": (ConfigurationField(name="fhir_base_url", label="FHIR base URL", keys=("fhir_base_url",)),),
    "approver": (
        ConfigurationField(name="approver", label="Approver", keys=("approval",)),
        ConfigurationField(name="client_id", label="Client id in the EHR", keys=("approval", "client_id")),
    ),
    "feed": (*_FEED, ConfigurationField(name=CERTIFICATE, label="Certificate", keys=("certificates",))),
    "sms": sms.FIELDS,
}
_OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("name",),
    "sms": ("other_sender", "allow_remove", *(f"replies_ask_{kind}" for kind, _ in sms.ASKING)),
}
"""Answers that are no key's value."""
_PLACEHOLDER: Final[Mapping[str, Any]] = {
    "facilities": ["X"],
    "receiving_application": "X",
    "receiving_facility": "X",
}


def belongs(step: str, field: str) -> bool:
    """Whether a field is an answer of this step."""
    if field in _OTHERS.get(step, ()) or (step == "sms" and re.fullmatch(r"reminder-[0-9]{1,3}-[a-z]+", field)):
        return True
    return any(field == known.name for known in _FIELDS.get(step, ()))


def with_step(answers: Answers, step: str, form: Form) -> dict[str, tuple[str, ...]]:
    """The answers after this step's form was sent."""
    others = {name: values for name, values in answers.items() if not belongs(step, name)}
    return others | {name: values for name, values in form.values.items() if belongs(step, name)}


def defaults(step: str, answers: Answers, configuration: Configuration) -> dict[str, str | tuple[str, ...]]:
    """What a step shows before anybody answered it."""
    kind = Form(values=answers).text("kind")
    environments = configuration.environments.values()
    match step:
        case "name":
            zones = [environment.time_zone for environment in environments]
            return {"time_zone": zones[0], "ehr": "epic"}
        case "feed":
            taken = [environment.listener.port for environment in environments]
            return {
                "host": "127.0.0.1",
                "port": str(min(max(taken) + 1, 65535)),
                "authentication": "signature",
                "processing_ids": ("P",) if kind == "production" else ("T", "D"),
            }
        case "sms":
            return {
                **{f"confirmation_{key}": "1" for key, _ in sms.CONFIRMATIONS},
                **sms.replies_shown(Replies()),
                "join": sms.JOIN_USUAL,
                "quiet": "1", "quiet_from": "21:00", "quiet_to": "08:00", "per_day": "3", "per_week": "10",
                "reminder-0-count": "24", "reminder-0-unit": "h", "reminder-0-at": "", "reminder-0-modes": "",
            }  # fmt: skip
    return {}


def section_of(
    answers: Answers, configuration: Configuration, certificate: str
) -> tuple[dict[str, Any], list[FieldError]]:
    """The environment as the file would have it, and what cannot be written.

    Args:
        certificate: the path of its file.
    """
    form = Form(values=answers)
    feed_values, feed_errors = feed.typed(form, _FEED)
    sms_values, sms_errors = sms.typed(form, [form.text("sender")], None)
    approver, client_id = form.text("approver"), form.text("client_id")
    section: dict[str, Any] = {"kind": form.text("kind"), "enabled": True, "ehr": form.text("ehr")}
    if form.text("fhir_base_url"):
        section["fhir_base_url"] = form.text("fhir_base_url")
    if approver:
        section["approval"] = {"required": True, "approvers": [approver]}
    if client_id:
        section["approval"] = section.get("approval", {}) | {"client_id": client_id}
    section |= {"time_zone": form.text("time_zone"), "listener": {}, "authentication": "signature"}
    section |= {"certificates": [certificate], "sender": {}, "sms": {}}
    for keys, value in {**feed_values, **sms_values}.items():
        if (keys == ("sms", "allow_list") and value is None) or (keys == sms.REPLIES_ENABLED and not value):
            continue
        if (keys, value) == (sms.JOIN, sms.JOIN_USUAL):
            continue
        _put(section, keys, value)
    section["listener"] = _listener(section["listener"], configuration)
    return section, [*feed_errors, *sms_errors]


def errors_of(step: str, answers: Answers, configuration: Configuration) -> list[FieldError]:
    """What is wrong with a step's answers, beside its fields."""
    form = Form(values=answers)
    section, untyped = section_of(answers, configuration, "placeholder.cer")
    own = [error for error in untyped if belongs(step, error.field)]
    if step == "name":
        own += _name_errors(form.text("name"), configuration)
        if form.text("kind") not in [kind for kind, _, _ in KINDS]:
            own.append(FieldError(field="kind", sentence="Kind: choose production or test."))
        if form.text("ehr") not in dict(feed.EHRS):
            own.append(FieldError(field="ehr", sentence="EHR: choose one of the list."))
    if step == "approver" and form.text("kind") == "production" and not form.text("approver"):
        own.append(FieldError(field="approver", sentence="Choose who approves this configuration."))
    if step == "feed":
        own += _feed_errors(form, section)
    if step == "sms" and form.text("kind") == "test" and not section["sms"].get("allow_list"):
        sentence = "Write at least one number: a test environment texts nobody else."
        own.append(FieldError(field="allow_add", sentence=sentence))
    known = {error.field for error in own}
    problems = _problems(_completed(section))
    errors = field_errors(problems, key_fields(_KEY_NAME, fields(step, form)))
    own += [error for error in errors if belongs(step, error.field) and error.field not in known]
    return list(dict.fromkeys(own))


def fields(step: str, form: Form) -> Sequence[ConfigurationField]:
    """The fields of a step."""
    return sms.fields(form) if step == "sms" else _FIELDS.get(step, ())


def errors_by_step(problems: Sequence[SettingProblem], answers: Answers) -> list[FieldError]:
    """Problems of the whole, each at the section of its step on the page of all answers; others at the top."""
    form, errors = Form(values=answers), []
    for problem in problems:
        for step in STEPS:
            [error] = field_errors([problem], key_fields(form.text("name"), fields(step, form)))
            if error.field:
                errors.append(FieldError(field=f"step-{step}", sentence=error.sentence))
                break
        else:
            errors.append(error)
    return errors


_KEY_NAME: Final = "new"
"""The name of an environment that stands in for one without a usable name."""


def _name_errors(name: str, configuration: Configuration) -> list[FieldError]:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name) is None:
        sentence = "Name: letters, digits, _, . and -, at most 80, such as production."
    elif name == RESERVED or name in configuration.environments:
        sentence = "There is an environment by this name. Choose another one."
    else:
        return []
    return [FieldError(field="name", sentence=sentence)]


def _feed_errors(form: Form, section: Mapping[str, Any]) -> list[FieldError]:
    errors = []
    ids, kind = form.all("processing_ids"), form.text("kind")
    if ids and (kind == "production") != ("P" in ids):
        must = "must allow P" if kind == "production" else "never takes P"
        sentence = f"MSH-11 processing IDs allowed: a {kind} environment {must}."
        errors.append(FieldError(field="processing_ids", sentence=sentence))
    if form.text("authentication") == "mutual-tls" and "tls" not in section["listener"]:
        sentence = (
            "A client certificate needs TLS on this port, and TLS is set up in carebell.yaml (listener.tls). "
            "Choose Signature, or a port on which another environment listens with TLS."
        )
        errors.append(FieldError(field="authentication", sentence=sentence))
    if not form.raw(CERTIFICATE):
        errors.append(FieldError(field=CERTIFICATE, sentence="Choose a .cer file."))
    return errors


def _problems(section: dict[str, Any]) -> list[SettingProblem]:
    try:
        Environment.model_validate(section, by_alias=True, by_name=False)
    except ValidationError as error:
        place = SourceLocation("")
        problems = explain(error, Environment, lambda keys: place, ("environments", _KEY_NAME))
        return [_problem(problem.key, problem.why) for problem in problems]
    return []


def _problem(key: str, why: str) -> SettingProblem:
    return SettingProblem(key=key, place="", line=None, why=why)


def _completed(section: Mapping[str, Any]) -> dict[str, Any]:
    """With something sound where a step was not answered yet, so that only what was answered is judged."""
    sender = {**_PLACEHOLDER, "processing_ids": ["T"], **section["sender"]}
    texts = {"allow_list": [], **section["sms"]}
    if not texts.get("from"):
        texts["from"] = "+14255550100"
    completed = {**section, "sender": sender, "sms": texts}
    completed |= {"kind": completed["kind"] or "test", "authentication": "signature"}
    completed["ehr"] = completed["ehr"] or "generic"
    completed["time_zone"] = completed["time_zone"] or "UTC"
    return completed


def _listener(typed: Mapping[str, Any], configuration: Configuration) -> dict[str, Any]:
    """What was typed; where another environment listens there already, what that one says: they must say the same."""
    for environment in configuration.environments.values():
        listener = environment.listener
        if (listener.host, listener.port) == (typed.get("host"), typed.get("port")):
            return listener_values(listener)
    return dict(typed)


def listener_values(listener: ListenerSection) -> dict[str, Any]:
    """A listener's section without its defaults, as the file would have it."""
    return {"host": listener.host, "port": listener.port} | listener.model_dump(
        mode="json", by_alias=True, exclude_defaults=True
    )


def _put(section: dict[str, Any], keys: Keys, value: Any) -> None:
    *above, last = keys
    for key in above:
        section = section.setdefault(str(key), {})
    section[str(last)] = value
