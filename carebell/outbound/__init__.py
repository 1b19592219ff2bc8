"""From a due row to its outcome: dispatcher, send_policy, render, delivery, reconciliation, webhooks. Read `dispatcher` first."""
