"""What all tests share: real servers, started once per worker process, and how laws are searched for."""

from hypothesis import settings

pytest_plugins = ["tests.postgres_fixture", "tests.kafka_fixture"]

# No deadline: on a busy machine it would fail a law for its neighbours' work.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
