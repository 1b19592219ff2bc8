"""From a frame to its answer: listeners, handler, validate, process, unit_of_work, trust. Read `process` first."""
