"""Every table, once, for SQLite and PostgreSQL. Alembic's migrations must lead to exactly this (a test holds it).

Nothing here identifies a patient in the clear: the columns `phone`, `join_link`, `patient_name`, `told_details`, `content` and
`patient_ids.sealed` hold AES-256-GCM ciphertexts (`crypto`, `vault`), a number that must be recognised again is an HMAC
(`phone_key`), and the text of an SMS is not stored at all: it is rendered for each attempt. The portal's secrets are sealed too
(`sealing`), and of a token there is only its SHA-256.

Values that come from us (states, kinds) are TEXT without CHECK lists, so that a new one needs no table rebuild.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from store.instants import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

messages = Table(
    "messages",
    metadata,
    # Replay memory (signing.md section 8): what was answered to whom, until the freshness window is over.
    Column("environment", Text, primary_key=True),
    Column("msh3", Text, primary_key=True),
    Column("msh4", Text, primary_key=True),
    Column("msh10", Text, primary_key=True),
    # Empty: the first content under this control id. The digest in hex: another one, where `reuse_of_control_id: warn`.
    Column("variant", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the signed bytes
    Column("answer", Text, nullable=False),  # AA, AE, AR
    Column("code", Text),  # our failure code; NULL: accepted
    Column("err3", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("warning", Text),
    Column("received_at", UtcDateTime, nullable=False),
    Column("forget_after", UtcDateTime, nullable=False),
    Column("event", Text),  # S12 ...; for `trace`, and NULL from before
    Column("reference", Text),  # of the appointment that it is about; NULL: of none, or from before
    Index("ix_messages_expiry", "environment", "forget_after"),
    # Few rows: those that were not simply accepted, for people who look for them.
    Index("ix_messages_refused", "environment", "forget_after", sqlite_where=text("code IS NOT NULL"),
          postgresql_where=text("code IS NOT NULL")),
    sqlite_with_rowid=False,
)  # fmt: skip

appointments = Table(
    "appointments",
    metadata,
    # scheduler.appointment.Appointment, field by field; after forgetting the PHI-free rest stays.
    Column("id", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("aliases", Text, nullable=False),  # JSON list, in the order of the feed
    Column("revision", Integer, nullable=False),
    Column("event_at", UtcDateTime, nullable=False),
    Column("event_until", UtcDateTime),  # NULL: a second after event_at
    Column("life", Text, nullable=False),
    Column("start", UtcDateTime),
    Column("zone", Text, nullable=False),
    Column("date_only", Boolean, nullable=False),
    Column("duration", BigInteger),  # microseconds
    Column("phone", LargeBinary),  # sealed
    Column("phone_fault", Text),
    Column("language", Text),
    Column("deceased", Boolean, nullable=False),
    Column("consent", Boolean),
    Column("visit_mode", Text),
    Column("join_link", LargeBinary),  # sealed
    Column("facility", Text),
    Column("provider", Text),
    Column("location", Text),
    Column("patient_name", LargeBinary),  # sealed
    Column("told", Text),  # JSON of Visible without its details
    Column("told_details", LargeBinary),  # sealed JSON
    Column("changed_at", UtcDateTime, nullable=False),
    Column("window_revision", Integer),
    Column("window_due", UtcDateTime),
    Column("window_text", Boolean, nullable=False),
    Column("planned_at", UtcDateTime, nullable=False),
    Column("planned_revision", Integer, nullable=False),
    Column("unseen_edit", Boolean, nullable=False),
    Column("stamps", Text),  # JSON {field: [earliest, until]}, microseconds since 1970 (0.1: earliest alone); NULL: none
    Column("purged_at", UtcDateTime),
    # Ours alone: the deadline, whose day's key seals what is sealed; NULL: nothing sealed, nothing left to forget.
    Column("forget_at", UtcDateTime),
    Column("forgotten_at", UtcDateTime),  # when the sweep emptied the row
    Column("conference", Text),  # the id that the visits of one group share; "": taken out of its group
    Index("ix_appointments_forget_at", "forget_at", sqlite_where=text("forget_at IS NOT NULL"),
          postgresql_where=text("forget_at IS NOT NULL")),
    Index("ix_appointments_reference", "reference"),
    # Few rows, and only until their phone is gone: those that may be forgotten before their deadline.
    Index("ix_appointments_over", "life", sqlite_where=text("life <> 'active' AND forget_at IS NOT NULL"),
          postgresql_where=text("life <> 'active' AND forget_at IS NOT NULL")),
)  # fmt: skip

aliases = Table(
    "aliases",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("appointment", Text, ForeignKey("appointments.id"), nullable=False),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),  # hex, 80 bits of it random: the only thing of ours in a callback URL
    Column("environment", Text, nullable=False),
    Column("appointment", Text, ForeignKey("appointments.id"), nullable=False),
    Column("reference", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("due", UtcDateTime),  # NULL only for a text that never had a time
    Column("expires", UtcDateTime),
    Column("start", UtcDateTime),  # of the visit when this was planned: lead time in reports
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("doubts", Integer, nullable=False, server_default=text("0")),  # attempts that may or may not have been taken
    Column("next_attempt_at", UtcDateTime),  # earliest next attempt: `due` at first, later after a retry
    Column("lease_until", UtcDateTime),  # while `sending`
    Column("node", Text),
    Column("sid", Text),  # the gateway's id of the message, under the name that `outbox --json` has for it
    Column("code", Integer),  # the gateway's last error code
    Column("sender", Text),
    Column("segments", Integer),
    Column("phone_key", Text),  # HMAC of the number, for caps; cleared when no cap can count it any more
    Column("config_version", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("claimed_at", UtcDateTime),
    Column("sent_at", UtcDateTime),  # accepted by the gateway
    Column("final_at", UtcDateTime),
    Column("checked_at", UtcDateTime),  # last look-up at the gateway
    Column("gateway_forgotten_at", UtcDateTime),  # deleted there, every attempt of it
    Column("question", Integer),  # its number among those of the telephone; NULL: the text asked nothing
    Column("question_alone", Boolean),  # whether it was the only one, so that the text named the bare word
    Column("question_until", UtcDateTime),  # when the visit begins that it asked about
    UniqueConstraint("appointment", "kind", "rule", "revision", name="uq_outbox_identity"),
    Index("ix_outbox_due", "next_attempt_at",
          sqlite_where=text("state = 'due'"), postgresql_where=text("state = 'due'")),
    Index("ix_outbox_open", "state", "claimed_at",
          sqlite_where=text("state IN ('sending', 'accepted', 'sent', 'unknown')"),
          postgresql_where=text("state IN ('sending', 'accepted', 'sent', 'unknown')")),
    Index("ix_outbox_phone_key", "phone_key", "claimed_at",
          sqlite_where=text("phone_key IS NOT NULL"), postgresql_where=text("phone_key IS NOT NULL")),
    # For reports of a time span. Without what waits: a message would pay for it, and it is found by ix_outbox_due. With the id,
    # since many reminders have the same minute.
    Index("ix_outbox_planned_at", text("coalesce(due, created_at)"), "id",
          sqlite_where=text("state <> 'due'"), postgresql_where=text("state <> 'due'")),
    Index("ix_outbox_sid", "sid", sqlite_where=text("sid IS NOT NULL"), postgresql_where=text("sid IS NOT NULL")),
)  # fmt: skip

gateway_forgets = Table(
    "gateway_forgets",
    metadata,
    # Texts that reached their end and still stand in the gateway's log; one row an attempt, until it is deleted there.
    Column("sid", Text, primary_key=True),
    Column("outbox", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Index("ix_gateway_forgets_next_at", "next_at"),
)

writebacks = Table(
    "writebacks",
    metadata,
    # What goes back to the EHR, written in the transaction of the event that it tells (`store.writebacks`).
    Column("id", Text, primary_key=True),  # MSH-10: 20 characters in the order of time, within an appointment strictly
    Column("environment", Text, nullable=False),
    Column("appointment", Text, ForeignKey("appointments.id"), nullable=False),
    Column("event", Text, nullable=False),
    Column("event_seq", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("facts", Text, nullable=False),  # JSON, nothing of the patient
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("lease_until", UtcDateTime),  # while `sending`
    Column("node", Text),
    Column("content", LargeBinary),  # sealed: the bytes of the first attempt, until it is final
    Column("answer", Text),  # AA, CE ...: the last one
    Column("code", Text),  # why it failed or waits, in Carebell's terms
    Column("err3", Text),  # the EHR's own code
    Column("sent_at", UtcDateTime),  # the last attempt
    Column("final_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("appointment", "event", "event_seq", name="uq_writebacks_event"),
    Index("ix_writebacks_due", "next_attempt_at",
          sqlite_where=text("state = 'due'"), postgresql_where=text("state = 'due'")),
    Index("ix_writebacks_open", "environment", "channel", "id",
          sqlite_where=text("state IN ('due', 'sending')"), postgresql_where=text("state IN ('due', 'sending')")),
    # Few rows: those that somebody should look at.
    Index("ix_writebacks_refused", "environment", "channel", "id",
          sqlite_where=text("state = 'refused'"), postgresql_where=text("state = 'refused'")),
)  # fmt: skip

optouts = Table(
    "optouts",
    metadata,
    Column("phone_key", Text, primary_key=True),
    Column("sender", Text, primary_key=True),
    Column("source", Text, nullable=False),  # webhook, words, refusal, cli, portal
    Column("since", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

replies = Table(
    "replies",
    metadata,
    # Patients' STOP and START that were acted upon, so that none acts twice (docs/decisions/0010).
    Column("key", Text, primary_key=True),  # HMAC of the gateway's message id: leads to nobody, at the gateway neither
    Column("forget_after", UtcDateTime, nullable=False),
    Index("ix_replies_forget_after", "forget_after"),
    sqlite_with_rowid=False,
)

patient_replies = Table(
    "patient_replies",
    metadata,
    # What patients answered. Nothing of their words: kinds, times and ids.
    Column("id", Text, primary_key=True),  # hex, random, in the order of time
    Column("environment", Text, nullable=False),
    Column("appointment", Text, ForeignKey("appointments.id")),  # NULL: it is about none, or it is not known which
    Column("revision", Integer),  # of the appointment
    Column("question", Text),  # id in the outbox of the text that asked
    Column("kind", Text, nullable=False),  # confirm, cannot_come, call_me, unknown
    Column("reason", Text),  # why it changed nothing; NULL: it took effect
    Column("at", UtcDateTime, nullable=False),
    Column("key", Text),  # HMAC of the gateway's message id, as in `replies`; NULL: too old to come again
    Column("done_at", UtcDateTime),  # when a person did what it asks for, or nobody can any more; NULL: not
    UniqueConstraint("key"),
    Index("ix_patient_replies_appointment", "appointment", "at"),
    # Few rows: those that may wait for a person.
    Index("ix_patient_replies_waiting", "at", sqlite_where=text("done_at IS NULL AND kind <> 'confirm'"),
          postgresql_where=text("done_at IS NULL AND kind <> 'confirm'")),
    Index("ix_patient_replies_kept", "at", sqlite_where=text("key IS NOT NULL"),
          postgresql_where=text("key IS NOT NULL")),
)  # fmt: skip

day_keys = Table(
    "day_keys",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),  # days since 1970-01-01, UTC
    Column("wrapped", LargeBinary, nullable=False),  # under a master key of the key ring
)

holds = Table(
    "holds",
    metadata,
    Column("scope", Text, primary_key=True),  # all, environment, sender
    Column("name", Text, primary_key=True),  # "" for all
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
)

breakers = Table(
    "breakers",
    metadata,
    Column("scope", Text, primary_key=True),  # environment, sender
    Column("name", Text, primary_key=True),
    Column("code", Integer, nullable=False),  # the gateway's code that opened it
    Column("opened_at", UtcDateTime, nullable=False),
    Column("probe_at", UtcDateTime, nullable=False),  # one text may try from here on
    Column("probes", Integer, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("job", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

rates = Table(
    "rates",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("tokens", Float, nullable=False),  # segments; below zero: overdrawn
    Column("counted_at", UtcDateTime, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("configuration", Text),  # the version in force
    Column("configured_at", UtcDateTime),  # since when
    Column("restart_for", Text),  # keys of it that wait for a restart, comma-separated
)

configurations = Table(
    "configurations",
    metadata,
    # What is in force, for commands that meet a broken file: the last one that a service on `host` read from `file`.
    Column("host", Text, primary_key=True),
    Column("file", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("noted_at", UtcDateTime, nullable=False),
    Column("content", Text, nullable=False),  # `config.snapshot`: without secrets
)

config_versions = Table(
    "config_versions",
    metadata,
    # Every configuration that took effect, so that the version in a report can be resolved; nothing of it is a secret.
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False),
    Column("base", Text),  # the version before it
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("comment", Text),
    Column("text", Text),  # `config.redaction`; NULL: the file had changed again
    Column("content", Text, nullable=False),  # `config.snapshot`, with relative paths
    Column("secrets", Text, nullable=False),  # JSON: key -> HMAC of its value
    Column("certificates", Text, nullable=False),  # JSON: environment -> thumbprints
    Column(
        "sealed", LargeBinary
    ),  # the text as it was, under the key of a day 400 days later; NULL: as `text`, or forgotten
    Column("mark", Text),  # HMAC of the text as it was
    Column("base_mark", Text),  # HMAC of the text that a command or the portal replaced; NULL: edited by hand
)

users = Table(
    "users",
    metadata,
    # Who may use the portal. Nobody is deleted: the audit log names them.
    Column("id", Text, primary_key=True),  # hex, random
    Column("login", Text, nullable=False),  # in lower case
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("environments", Text, nullable=False),  # JSON list; an analyst's own
    Column("password", Text),  # argon2id in its own notation; NULL: set none yet, or signs in elsewhere
    Column("totp", LargeBinary),  # sealed
    Column("totp_new", LargeBinary),  # sealed; waits for its first code
    Column("totp_last_step", BigInteger),  # the step of the last code that was accepted: no code counts twice
    Column("oidc_issuer", Text),
    Column("oidc_subject", Text),
    Column("disabled_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_sign_in_at", UtcDateTime),
    UniqueConstraint("login"),
    UniqueConstraint("oidc_issuer", "oidc_subject"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("key", Text, primary_key=True),  # SHA-256 of the token in hex; the token itself is stored nowhere
    Column("user_id", Text, ForeignKey("users.id")),  # NULL: on the way to another site's sign-in
    Column("stage", Text, nullable=False),  # leaving, code, open
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("confirmed_at", UtcDateTime),  # the last proof that it is still the same person
    Column("address", Text, nullable=False),  # of the peer that signed in
    Column("browser", Text),  # as it names itself
    Column("flow", LargeBinary),  # sealed JSON: state, nonce, verifier of a sign-in elsewhere
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_ends_at", "ends_at"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("key", Text, primary_key=True),  # SHA-256 of the link's token in hex
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("totp", LargeBinary),  # sealed: the second factor that the page offers
    Index("ix_invitations_user_id", "user_id"),
    Index("ix_invitations_ends_at", "ends_at"),
)

proposals = Table(
    "proposals",
    metadata,
    # Changes of carebell.yaml that are looked at, or wait for an approval, before the file is written.
    Column("id", Text, primary_key=True),  # hex, random
    Column("base", Text, nullable=False),  # digest of the file that it changes
    Column("text", LargeBinary),  # sealed with the key of the day of `ends_at`: allow lists hold numbers; NULL: decided
    Column("edits", LargeBinary),  # sealed JSON
    Column("environments", Text, nullable=False),  # JSON list: those that it touches
    Column("effect", Text),  # JSON; NULL: not foreseen yet
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),  # draft, open, awaiting, saved, withdrawn, sent_back, expired
    Column("comment", Text),
    Column("decided_by", Text),
    Column("decided_at", UtcDateTime),
    Column("version", Text),  # of the configuration that it became
    Index("ix_proposals_ends_at", "ends_at"),
)

approvals = Table(
    "approvals",
    metadata,
    # Every step of every approval, append-only: the last row of an environment and fingerprint says how it stands.
    Column("environment", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 ... in the environment
    Column("fingerprint", Text, nullable=False),  # SHA-256 of `facts` in hex
    Column("facts", Text, nullable=False),  # canonical JSON: what is approved
    Column("state", Text, nullable=False),  # draft, awaiting, proved, approved, sent_back
    Column("actor", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("proof", Text),  # sign_in, message, word
    Column("proof_facts", Text),  # JSON: issuer, HMAC of the subject, instant
    Column("comment", Text),
    Column("proposal", Text),  # the id of the one that waits for it
    Index("ix_approvals_fingerprint", "environment", "fingerprint"),
)

throttles = Table(
    "throttles",
    metadata,
    Column("scope", Text, primary_key=True),  # what is counted
    Column("key", Text, primary_key=True),  # HMAC of whom it is counted for
    Column("tokens", Float, nullable=False),  # what is left, or how many failures in a row
    Column("counted_at", UtcDateTime, nullable=False),
    Column("forget_after", UtcDateTime, nullable=False),
    Index("ix_throttles_forget_after", "forget_after"),
    sqlite_with_rowid=False,
)

conferences = Table(
    "conferences",
    metadata,
    # A group of video visits that take place in one meeting: those of an environment with one conference id on one day. Nothing of
    # a patient: who is in it stands with the visits.
    Column("id", Text, primary_key=True),  # hex, random
    Column("environment", Text, nullable=False),
    Column("reference", Text),  # the hospital's conference id; NULL: its time is over
    Column("day", Text, nullable=False),  # at the clinic, as 2026-03-12
    Column("code", Text, nullable=False),  # random, as a visit's
    Column("meeting_ref", LargeBinary),  # sealed with the key of the day of `ends_at`
    Column("opens_at", UtcDateTime, nullable=False),  # when the first of its visits opens
    Column("ends_at", UtcDateTime, nullable=False),  # when the last one of their links ends
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("environment", "reference", "day"),
    UniqueConstraint("code"),
    # Few rows: those that are not over.
    Index("ix_conferences_ends_at", "ends_at", sqlite_where=text("reference IS NOT NULL"),
          postgresql_where=text("reference IS NOT NULL")),
)  # fmt: skip

visits = Table(
    "visits",
    metadata,
    # A video visit and its links' window (scheduler.visit_life). Nothing of a patient: who it is stands with the appointment.
    Column("id", Text, primary_key=True),  # hex, random
    Column("environment", Text, nullable=False),
    Column("appointment", Text, ForeignKey("appointments.id"), nullable=False),
    Column("code", Text, nullable=False),  # random; the name of its room in a meeting's address, and for people
    Column("meeting_ref", LargeBinary),  # sealed with the key of the day of `ends_at`: where it takes place, if that is known
    Column("kind", Text, nullable=False),  # of its meeting: link ...
    Column("opens_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("department", Text),  # where somebody names it; no message's value
    Column("created_at", UtcDateTime, nullable=False),
    # For reports, from all its events, with each new one (scheduler.visit_times); NULL: nothing happened in it yet.
    Column("report_start", UtcDateTime),
    Column("lobby_wait", BigInteger),  # microseconds
    Column("lasted", BigInteger),  # microseconds
    Column("outcome", Text),
    Column("conference", Text),  # the id of its group (`conferences`); no foreign key, so that SQLite can drop the column
    UniqueConstraint("appointment"),
    UniqueConstraint("code"),
    # With all that the sums of a day need.
    Index("ix_visits_report_start", "report_start", "id", "environment", "outcome", "lasted", "lobby_wait",
          sqlite_where=text("report_start IS NOT NULL"), postgresql_where=text("report_start IS NOT NULL")),
    Index("ix_visits_conference", "conference", sqlite_where=text("conference IS NOT NULL"),
          postgresql_where=text("conference IS NOT NULL")),
    # Few rows: those that are not over, for what the clock does to them.
    Index("ix_visits_ends_at", "ends_at",
          sqlite_where=text("state NOT IN ('ended', 'canceled', 'no_show')"),
          postgresql_where=text("state NOT IN ('ended', 'canceled', 'no_show')")),
)  # fmt: skip

visit_links = Table(
    "visit_links",
    metadata,
    Column("key", Text, primary_key=True),  # HMAC of the link's token
    Column("visit", Text, ForeignKey("visits.id"), nullable=False),
    Column("role", Text, nullable=False),  # patient, guest, interpreter, provider
    # The token, with the key of the day of `ends_at`, since texts are rendered at each attempt; NULL: no text can leave any more.
    Column("sealed", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),  # the visit's; the row goes then
    Column("revoked_at", UtcDateTime),
    Column("admitted_at", UtcDateTime),  # since when who has it may go on to the meeting
    Column("put_off_at", UtcDateTime),  # when staff last asked for more minutes
    Column("conference", Text),  # of a provider who was launched into a group: it is the group's link
    Index("ix_visit_links_visit", "visit"),
    Index("ix_visit_links_ends_at", "ends_at"),
)

patient_ids = Table(
    "patient_ids",
    metadata,
    # PID-3 for what goes back to the EHR, only where `writeback.patient_id` keeps it. Rows of their own, because they outlive the
    # number: they end 24 hours after the visit.
    Column("appointment", Text, ForeignKey("appointments.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # with the key of the day of `ends_at`
    Column("sent_at", UtcDateTime, nullable=False),  # MSH-7 of the message that gave it
    Column("ends_at", UtcDateTime, nullable=False),
    Index("ix_patient_ids_ends_at", "ends_at"),
)

visit_devices = Table(
    "visit_devices",
    metadata,
    # Open waiting-room pages. Each says again and again that it is there; `until` is when it has not for too long.
    Column("link", Text, ForeignKey("visit_links.key", ondelete="CASCADE"), primary_key=True),
    Column("device", Text, primary_key=True),  # random, made by the page; it dies with it
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Index("ix_visit_devices_until", "until"),
    sqlite_with_rowid=False,
)

visit_events = Table(
    "visit_events",
    metadata,
    # All that happened in a visit, append-only.
    Column("visit", Text, ForeignKey("visits.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 ... in the visit
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),  # a role
    Column("what", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("ref", Text),  # HMAC of who exactly: the key of the link, or of a participant of the meeting
    Index("ix_visit_events_at", "at"),
    sqlite_with_rowid=False,
)

device_tests = Table(
    "device_tests",
    metadata,
    Column("id", Text, primary_key=True),  # hex, random
    Column("visit", Text, ForeignKey("visits.id")),  # NULL: staff tried it without a link
    Column("at", UtcDateTime, nullable=False),
    Column("results", Text, nullable=False),  # JSON: step -> ok, or the code of what failed
    Column("browser", Text),  # family and major version
    Index("ix_device_tests_visit", "visit"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("hash", Text, nullable=False),  # of this entry and the hash before it
    Column("origin", Text),  # from where; NULL: written by 0.1, whose hashes cover less
    Column("environment", Text),  # NULL: it concerns all, or none
    Index("ix_audit_subject", "subject"),
)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
