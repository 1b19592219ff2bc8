"""The database: appointments, outbox, opt-outs, audit, replay memory; the only room that knows SQL."""
