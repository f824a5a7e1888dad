"""Property tests on a busy machine: no case fails for being slow."""

from hypothesis import settings

settings.register_profile("botctl", deadline=None)
settings.load_profile("botctl")
