"""The tests."""

from hypothesis import settings

settings.register_profile("belong", deadline=None)
settings.load_profile("belong")
