"""Several processes that share the listeners of one service: the supervisor's side, the worker's side, and what they say."""
