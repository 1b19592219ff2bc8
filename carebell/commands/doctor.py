"""`doctor`: check the whole installation, say in words what is wrong and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from carebell.bootstrap.active_config import load_in_force
from carebell.bootstrap.components import configuration_path, load
from carebell.commands import doctor_machine, doctor_service
from carebell.commands.diagnosis import Check, DoctorFinding, Machine, this_machine
from carebell.commands.install import UNIT
from carebell.commands.output import print_json, print_sentence
from carebell.exits import OK, REFUSED, ConfigurationStop
from config.load import Loaded
from journal.lines import plain
from store.faults import StoreFault

CHECKS: Final[tuple[Check, ...]] = (
    doctor_machine.python,
    doctor_machine.package,
    doctor_machine.unit,
    doctor_machine.clock,
    doctor_machine.configuration,
    doctor_machine.descriptors,
    doctor_machine.files,
    doctor_machine.credentials,
    doctor_machine.key,
    doctor_machine.log,
    doctor_service.database,
    doctor_service.certificates,
    doctor_service.gateway,
)
WITHOUT_THE_FILE: Final[tuple[Check, ...]] = (
    doctor_machine.python,
    doctor_machine.package,
    doctor_machine.unit,
    doctor_machine.clock,
    doctor_machine.log,
    doctor_service.database,
    doctor_service.certificates,
    doctor_service.gateway,
)
"""What is looked at by the configuration in force, whose paths of secrets are those of the service."""
_WORDS: Final = {"good": "good", "warning": "warning", "wrong": "WRONG", "unknown": "?"}


def doctor(config: Path | None, *, online: bool, as_json: bool) -> int:
    """Print every finding; 1 if anything is wrong."""
    machine = this_machine(Path("/") / UNIT, Path(sys.executable).with_name("carebell"), online=online)
    diagnoses = []
    for diagnosis in examine(config, machine):
        diagnoses.append(diagnosis)
        if as_json:
            print_json(diagnosis.row)
        else:
            _show(diagnosis)
    wrong = sum(diagnosis.state == "wrong" for diagnosis in diagnoses)
    if not as_json:
        warnings = sum(diagnosis.state == "warning" for diagnosis in diagnoses)
        print(f"\n{len(diagnoses)} checks: {wrong} wrong, {warnings} {'warning' if warnings == 1 else 'warnings'}")
    return REFUSED if wrong else OK


def examine(config: Path | None, machine: Machine) -> Iterator[DoctorFinding]:
    """Every finding. Where the configuration cannot be used, its problems, and what can be said by the one in force."""
    try:
        loaded = load(config, machine.environ)
    except ConfigurationStop as stop:
        for problem in str(stop).splitlines():
            mend = (
                "carebell init DIR or carebell install makes one" if "no configuration" in problem else "edit that line"
            )
            yield DoctorFinding(check="configuration", state="wrong", what=problem, mend=mend)
        for diagnosis in _by_the_one_in_force(config, machine):
            if (diagnosis.check, diagnosis.state) != ("in_force", "good"):  # it is not the one on disk
                yield diagnosis
        return
    for check in CHECKS:
        yield from _guarded(check, machine, loaded)


def _by_the_one_in_force(config: Path | None, machine: Machine) -> Iterator[DoctorFinding]:
    try:
        in_force = load_in_force(configuration_path(config, machine.environ), machine.environ)
    except ConfigurationStop:
        return  # there is no file at all
    except StoreFault as fault:
        mend = "mend the configuration first, then run doctor again"
        yield DoctorFinding(check="database", state="wrong", what=str(fault), mend=mend)
        return
    if in_force is not None:
        for check in WITHOUT_THE_FILE:
            yield from _guarded(check, machine, in_force.loaded)


def _guarded(check: Check, machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    """One check that cannot be made must not hide the others."""
    name = getattr(check, "__name__", "check")
    try:
        yield from check(machine, loaded)
    except PermissionError as error:
        what = f"{error.filename} cannot be looked at by this account"
        yield DoctorFinding(check=name, state="unknown", what=what, mend="run doctor as root (sudo)")


def _show(diagnosis: DoctorFinding) -> None:
    print_sentence(plain(diagnosis.what), lead=f"{_WORDS[diagnosis.state]:8}")
    if diagnosis.mend is not None:
        print_sentence(plain(diagnosis.mend), lead=f"{'':8}to mend it: " if diagnosis.state != "unknown" else f"{'':8}")
