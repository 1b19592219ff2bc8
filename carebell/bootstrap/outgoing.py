"""What sends on a node: texts (dispatcher, reconciliation, and the record of what became of each), and what goes back to EHRs."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from carebell.bootstrap.running_service import RunningService
from carebell.outbound.delivery import DeliveryRecorder
from carebell.outbound.dispatcher import LEASE, Dispatcher
from carebell.outbound.in_flight import InFlight
from carebell.outbound.invalid_numbers import InvalidNumbers
from carebell.outbound.posts_elsewhere import PostsElsewhere
from carebell.outbound.recipient import recipient_of
from carebell.outbound.reconciliation import Reconciliation
from carebell.outbound.replan import ReminderReplanner
from carebell.outbound.text_outcomes import TextOutcomes
from carebell.outbound.worker_threads import WorkerThreads
from carebell.writeback.recording import WritebackRecorder
from carebell.writeback.sender import WritebackSender
from notifier.gateway import Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Attributes:
    in_flight: which texts are being posted, here or by another process.
    """

    in_flight: InFlight
    delivery: DeliveryRecorder
    dispatcher: Dispatcher
    reconciliation: Reconciliation


def outgoing_texts(running: RunningService, gateway: Gateway, threads: WorkerThreads, at_once: int) -> Outgoing:
    """Args:
    threads: post texts. at_once: how many texts may be under way.
    """
    store, vault, clock, journal = running.store, running.vault, running.clock, running.journal
    in_flight = InFlight(PostsElsewhere(store, clock, journal, node=running.node, longest=LEASE))
    delivery = DeliveryRecorder(
        journal,
        running.metrics,
        InvalidNumbers(vault=vault, runtime_config=running.runtime_config),
        ReminderReplanner(vault=vault, runtime_config=running.runtime_config),
        TextOutcomes(runtime_config=running.runtime_config),
    )
    dispatcher = Dispatcher(
        store=store,
        vault=vault,
        runtime_config=running.runtime_config,
        gateway=gateway,
        delivery=delivery,
        clock=clock,
        node=running.node,
        threads=threads,
        at_once=at_once,
        in_flight=in_flight,
        journal=journal,
        metrics=running.metrics,
        seconds=time.monotonic,
    )
    reconciliation = Reconciliation(
        store=store,
        vault=vault,
        runtime_config=running.runtime_config,
        gateway=gateway,
        delivery=delivery,
        clock=clock,
        journal=journal,
        recipient=recipient_of,
    )
    return Outgoing(in_flight=in_flight, delivery=delivery, dispatcher=dispatcher, reconciliation=reconciliation)


def writeback_sender(running: RunningService) -> WritebackSender:
    """What sends write-backs to the EHRs."""
    store, clock, journal = running.store, running.clock, running.journal
    recorder = WritebackRecorder(
        store=store, clock=clock, journal=journal, metrics=running.metrics, chance=secrets.SystemRandom().random
    )
    return WritebackSender(
        store=store,
        vault=running.vault,
        loaded=running.loaded,
        clock=clock,
        node=running.node,
        journal=journal,
        recorder=recorder,
    )
