"""What all tests share: real servers, started once per worker process, and how laws are searched for."""

import signal

from hypothesis import settings

pytest_plugins = ["tests.postgres_fixture", "tests.kafka_fixture"]

# A run that was put into the background may have been handed SIGINT ignored, and what it starts would inherit that: a
# Ctrl-C would then reach nobody.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: on a busy machine it would fail a law for its neighbours' work.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
