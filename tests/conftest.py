"""What all tests share: real servers, started once per worker process."""

pytest_plugins = ["tests.postgres_fixture", "tests.kafka_fixture"]
