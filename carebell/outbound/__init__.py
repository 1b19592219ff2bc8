"""A due row's way to its outcome: dispatcher, send_policy, render, delivery, reconciliation, webhooks. Read `dispatcher` first."""
