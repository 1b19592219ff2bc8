"""The database: appointments, outbox, opt-outs, audit, replay memory. Only this room uses SQL."""
