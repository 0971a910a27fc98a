"""The tests."""

from hypothesis import HealthCheck, settings

settings.register_profile("belong", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("belong")
