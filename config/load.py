"""Read `carebell.yaml`: the file, the environment variables that override it, and every named file with rules or texts.

`load()` returns a frozen `Loaded` or raises ConfigurationError with every problem, each `file:line:column: key: why`.
`config.files.check_files` checks the files of the installation (certificates, keys, tokens, folders), so that a
configuration can be read and explained on another machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from config.consistency import disagreements
from config.credentials import with_credentials
from config.digests import digests_of
from config.document import Document, nearest, read_document, read_shipped
from config.fhir_map import FhirMap
from config.fieldmap import FieldMap
from config.model import Configuration, WritebackSection
from config.outmap import OutMap
from config.overlay import overlay
from config.page_words import page_word_faults
from config.problems import ConfigurationError, Keys, Problem, SourceLocation
from config.secret_files import secret_files
from config.status_map import ConnectionStatusMap
from config.wording import explain

HERE: Final = Path(str(files("config")))
FIELD_MAPS: Final = Path(str(files("parser"))) / "fieldmaps"
"""Shipped field maps: data in the parser's folder, read as files."""
OUT_MAPS: Final = Path(str(files("ehr"))) / "outmaps"
FHIR_MAPS: Final = Path(str(files("ehr"))) / "fhir_maps"
STATUS_MAPS: Final = Path(str(files("ehr"))) / "status_maps"
"""Shipped out-maps, in the same way."""

SectionType = TypeVar("SectionType", bound=BaseModel)

_PATH_ENDINGS: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """The texts of one environment: the built-in texts, overridden by the environment's own.

    Attributes:
        texts: `{language: {opt_out: words, kind: {visit mode | default: text}}}`, as in config/templates/*.yaml.
        places: where each of its keys stands.
    """

    texts: Mapping[str, Any]
    places: Mapping[Keys, SourceLocation] = field(repr=False)

    def where(self, keys: Keys) -> SourceLocation:
        """The place of a key path, or of its nearest parent that stands in a file."""
        return nearest(self.places, keys, SourceLocation("config/templates"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration without errors in itself.

    Attributes:
        configuration: relative paths are resolved against the file's folder.
        path: the file.
        version: 12 hexadecimal digits, a hash of values, texts and field maps; not of secrets and the folder.
        field_maps: environment -> its field map.
        templates: environment -> its texts.
        out_maps: environment -> the messages that go back to its EHR; none where nothing does.
        fhir_maps: environment -> what its FHIR server is told. status_maps: environment -> the connection status' request.
        page_words: what `join.words` says, over the built-in words of the patients' pages (`config.page_words`); empty: nothing.
        answer_rows: config/answers.yaml: failure code -> row; an environment's `answers` go over them.
        files: every file that was read or is named; a change of one is a change of the configuration.
        digests: the digest of each of `files` when it was read; for files that are only named, after the others were read.
        places: the place of each key in the file or in an environment variable.
    """

    configuration: Configuration
    path: Path
    version: str
    field_maps: Mapping[str, FieldMap]
    templates: Mapping[str, Templates]
    answer_rows: Mapping[str, Mapping[str, Any]] = field(repr=False)
    out_maps: Mapping[str, OutMap] = field(default_factory=dict)
    fhir_maps: Mapping[str, FhirMap] = field(default_factory=dict)
    status_maps: Mapping[str, ConnectionStatusMap] = field(default_factory=dict)
    page_words: Mapping[str, Any] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()
    digests: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    places: Mapping[Keys, SourceLocation] = field(repr=False)

    def where(self, keys: Keys) -> SourceLocation:
        """The place of a key, or of its nearest parent that stands in the file; the file's first line otherwise."""
        return nearest(self.places, keys, SourceLocation(str(self.path), 1, 1))

    def problem(self, keys: Keys, why: str) -> Problem:
        """A problem that another room found with a key, at the key's place."""
        return Problem.at(self.where(keys), keys, why)


def load(
    path: Path,
    environ: Mapping[str, str],
    field_maps: Path = FIELD_MAPS,
    *,
    content: bytes | None = None,
    folder: Path | None = None,
) -> Loaded:
    """Read and check `path` with the variables `CAREBELL_SECTION__KEY` of `environ` over it, and the secrets of its credentials.

    Args:
        field_maps: folder of the shipped field maps.
        content: checked instead of what `path` holds, to foresee what a change would do.
        folder: what relative paths are relative to; None: the file's folder.

    Raises:
        ConfigurationError: all problems, in the order of the file.
    """
    document = read_document(path, content, if_empty="is empty; `carebell init` writes a file that works without edits")
    values, laid = overlay(document.values, environ)
    places = {**{keys: place for keys, place in document.places.items() if not _under(keys, laid)}, **laid}

    def where(keys: Keys) -> SourceLocation:
        return nearest(places, keys, SourceLocation(str(path), 1, 1))

    try:
        # By the names of the contract alone: `from`, not the model's own `sender`.
        written = Configuration.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ConfigurationError(explain(error, Configuration, where)) from None
    folder = (folder or path.parent).absolute()
    configuration = with_credentials(_anchored(written, folder), environ)
    reader = _Rules(configuration, where, field_maps)
    problems = [*disagreements(configuration, where), *reader.read()]
    if problems:
        raise ConfigurationError(problems)
    read = {path: document.digest, **reader.digests()}
    named = tuple(dict.fromkeys(_named_files(configuration)))
    return Loaded(
        configuration=configuration,
        path=path,
        version=_version(written, reader),
        field_maps=reader.field_maps,
        templates=reader.templates,
        answer_rows=reader.answer_rows,
        out_maps=reader.out_maps,
        fhir_maps=reader.fhir_maps,
        status_maps=reader.status_maps,
        page_words=reader.page_words,
        files=tuple(dict.fromkeys((*read, *named))),
        digests={**digests_of(named), **read},
        places=places,
    )


def _named_files(configuration: Configuration) -> Iterator[Path]:
    """Certificates, TLS files and tokens. New content in the same file, as Kubernetes and certbot write it, is a change too."""
    for environment in configuration.environments.values():
        yield from environment.certificates
        tls = environment.listener.tls
        if tls is not None:
            yield from (path for path in (tls.certificate, tls.key, tls.client_ca) if path is not None)
        yield from environment.writeback.files
    gateway = configuration.gateway
    yield from (path for _, path in secret_files(configuration))
    yield from (path for path in (gateway.http.certificate_authority, gateway.reply_words) if path is not None)


def _under(keys: Keys, laid: Mapping[Keys, SourceLocation]) -> bool:
    """Whether a variable replaced this key or one above it."""
    return any(keys[: len(above)] == above for above in laid)


class _Rules:
    """Reads the named files with rules or texts, and collects their problems."""

    def __init__(self, configuration: Configuration, where: Callable[[Keys], SourceLocation], field_maps: Path) -> None:
        self.field_maps: dict[str, FieldMap] = {}
        self.templates: dict[str, Templates] = {}
        self.answer_rows: dict[str, Mapping[str, Any]] = {}
        self.out_maps: dict[str, OutMap] = {}
        self.fhir_maps: dict[str, FhirMap] = {}
        self.status_maps: dict[str, ConnectionStatusMap] = {}
        self.page_words: Mapping[str, Any] = {}
        self._files: list[Path] = []
        self._configuration = configuration
        self._where = where
        self._shipped = field_maps
        self._documents: dict[Path, Document] = {}

    def digests(self) -> dict[Path, bytes]:
        """Of the files that the configuration names and that were read."""
        return {path: self._documents[path].digest for path in self._files}

    def read(self) -> Iterator[Problem]:
        yield from self._page_words(self._configuration.join.words)
        self.answer_rows = dict(read_shipped(HERE / "answers.yaml").values)
        built_in = [read_shipped(path) for path in sorted((HERE / "templates").glob("*.yaml"))]
        for name, environment in self._configuration.environments.items():
            keys: Keys = ("environments", name)
            yield from self._answers(keys, environment.answers)
            try:
                self.field_maps[name] = self._map((*keys, "ehr"), environment.ehr, self._shipped, FieldMap)
            except ConfigurationError as error:
                yield from error.problems
            yield from self._writeback((*keys, "writeback"), name, environment.writeback)
            try:
                own = environment.sms.templates
                layers = built_in if own is None else [*built_in, self._named((*keys, "sms", "templates"), own)]
                self.templates[name] = _merged(layers)
            except ConfigurationError as error:
                yield from error.problems
                continue
            languages = list(self.templates[name].texts)
            fallback = environment.sms.languages.fallback
            if languages and fallback not in languages:
                at: Keys = (*keys, "sms", "languages", "fallback")
                yield Problem.at(self._where(at), at, f"has no texts; there are texts in {', '.join(languages)}")

    def _page_words(self, own: Path | None) -> Iterator[Problem]:
        if own is None:
            return
        try:
            document = self._named(("join", "words"), own)
        except ConfigurationError as error:
            yield from error.problems
            return
        self.page_words = document.values
        for keys, why in page_word_faults(document.values):
            yield Problem.at(document.where(keys), keys, why)

    def _answers(self, keys: Keys, answers: Mapping[str, str]) -> Iterator[Problem]:
        for code, answer in answers.items():
            at: Keys = (*keys, "answers", code)
            if code not in self.answer_rows:
                near = get_close_matches(code.upper(), self.answer_rows, n=1)
                hint = f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(self.answer_rows)}"
                yield Problem.at(self._where(at), at, f"unknown failure code{hint}")
            elif code == "TRANSIENT" and answer == "AA":
                yield Problem.at(
                    self._where(at), at, "must not be AA: it would acknowledge a message that was not stored"
                )

    def _writeback(self, keys: Keys, name: str, section: WritebackSection) -> Iterator[Problem]:
        """The maps, each of which must have something for every event that goes back by it."""
        lacks: dict[str, Callable[[str], str | None]] = {}
        try:
            if section.hl7 is not None:
                out_map = self._map((*keys, "hl7", "map"), section.hl7.map, OUT_MAPS, OutMap)
                self.out_maps[name] = out_map
                no_message = f"the out-map {Path(section.hl7.map).name} has no message for it"
                lacks["hl7"] = lambda event: None if out_map.has(event) else no_message
            if section.fhir is not None:
                fhir_map = self._map((*keys, "fhir", "map"), section.fhir.map, FHIR_MAPS, FhirMap)
                self.fhir_maps[name] = fhir_map
                nothing = f"the FHIR map {Path(section.fhir.map).name} has nothing for it; HL7 may be its way"
                lacks["fhir"] = lambda event: None if fhir_map.has(event) else nothing
            if section.epic_status is not None:
                of_status = section.epic_status.map
                status_map = self._map((*keys, "epic_status", "map"), of_status, STATUS_MAPS, ConnectionStatusMap)
                self.status_maps[name] = status_map
                lacks["epic_status"] = lambda event: status_map.lacks(event, Path(of_status).name)
        except ConfigurationError as error:
            yield from error.problems
            return
        for event, channel in section.events.items():
            why = lacks[channel](event) if channel in lacks else None
            if why is not None:
                at: Keys = (*keys, "events", event)
                yield Problem.at(self._where(at), at, why)

    def _map(self, keys: Keys, name: str, folder: Path, model: type[SectionType]) -> SectionType:
        """A shipped map by its name, or one of the hospital's own by its path."""
        if _is_path(name):
            document = self._named(keys, Path(name))
        else:
            shipped = sorted(path.stem for path in folder.glob("*.yaml"))
            if name not in shipped:
                near = get_close_matches(name.lower().replace("-", "_"), shipped, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                why = f"must be {', '.join(shipped)}, or the path of a map of your own (*.yaml){hint}"
                raise ConfigurationError([Problem.at(self._where(keys), keys, why)])
            document = read_shipped(folder / f"{name}.yaml")
        try:
            return model.model_validate(document.values)
        except ValidationError as error:
            raise ConfigurationError(explain(error, model, document.where)) from None

    def _named(self, keys: Keys, path: Path) -> Document:
        """A file that the configuration names. If it is missing, the problem is reported at the key that names it."""
        self._files.append(path)
        if not os.path.isfile(path):  # False, where Path.is_file raises, for a name that no file can have
            raise ConfigurationError([Problem.at(self._where(keys), keys, f"there is no file {path.name} there")])
        return self._once(path)

    def _once(self, path: Path) -> Document:
        if path not in self._documents:
            self._documents[path] = read_document(path)
        return self._documents[path]


def _merged(layers: list[Document]) -> Templates:
    texts: dict[str, Any] = {}
    places: dict[Keys, SourceLocation] = {}
    for layer in layers:
        _lay(texts, layer.values)
        places.update(layer.places)
    return Templates(texts=texts, places=places)


def _lay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Merge `above` into `below`, section by section. `above` is not changed or shared."""
    for key, value in above.items():
        if isinstance(value, dict):
            under = below.get(key)
            below[key] = dict(under) if isinstance(under, dict) else {}
            _lay(below[key], value)
        else:
            below[key] = value


def _is_path(ehr: str) -> bool:
    return "/" in ehr or ehr.endswith(_PATH_ENDINGS)


def _anchored(section: SectionType, folder: Path) -> SectionType:
    """`section` with every relative path, SQLite URL and own field map resolved against `folder`."""
    return section.model_copy(
        update={name: _anchor(name, getattr(section, name), folder) for name in type(section).model_fields}
    )


def _anchor(name: str, value: Any, folder: Path) -> Any:
    if isinstance(value, BaseModel):
        return _anchored(value, folder)
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, list):
        return [_anchor(name, item, folder) for item in value]
    if isinstance(value, dict):
        return {key: _anchor(name, item, folder) for key, item in value.items()}
    if name in ("ehr", "map") and _is_path(value):
        return str(folder / value)
    if name == "url" and isinstance(value, str) and value.startswith("sqlite:///"):
        return f"sqlite:///{folder / value.removeprefix('sqlite:///')}"
    return value


def _version(written: Configuration, reader: _Rules) -> str:
    """The version of the configuration as written, so that two nodes with the same files in different folders have the same
    version."""
    what = [
        written.model_dump(mode="json", by_alias=True),
        {name: templates.texts for name, templates in reader.templates.items()},
        {name: field_map.model_dump(mode="json", by_alias=True) for name, field_map in reader.field_maps.items()},
        {name: out_map.model_dump(mode="json") for name, out_map in reader.out_maps.items()},
        {name: fhir_map.model_dump(mode="json") for name, fhir_map in reader.fhir_maps.items()},
        {name: status_map.model_dump(mode="json") for name, status_map in reader.status_maps.items()},
        reader.page_words,
    ]
    text = json.dumps(what, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
