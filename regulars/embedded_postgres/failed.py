"""What is said when there is no server."""


class ServerFailed(RuntimeError):
    """The server could not be started; the message says why, with the last lines of its log where that helps."""
