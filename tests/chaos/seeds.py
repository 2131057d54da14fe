"""Seeds that once found a fault of ours: `make test` runs each of them again, with the short form. One of each mode
stands here in any case."""

from tests.chaos.schedule import Mode

ONCE_FAILED: tuple[tuple[Mode, int, str], ...] = (
    (Mode.KAFKA, 5, "a reader held on to a leader that was none any more, and read nothing from it for five minutes"),
    (Mode.ONE_PROCESS, 5, "what followed a repeat was read before it: two flushes had an event in common"),
    (Mode.ONE_PROCESS, 1, "an account's updated_at told where a batch was cut, not when the account changed"),
)
