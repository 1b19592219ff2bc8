"""For every test: no property is judged by the time an example takes, which says more about the machine than about the code."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("carebell", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("carebell")
