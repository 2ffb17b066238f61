"""What can be wrong with the log, or with the database beside it. Either way the broker does not serve."""

from broker.errors import ConfigurationError

NEW_LOG = (
    "Put the right one back, or name it in BROKER_SHRED_LOG (several hosts need one database for all of them). "
    "Only if it is lost for good: broker restore --new-log"
)


class LogFault(ConfigurationError):
    """The log is missing, was cut or was changed."""

    def __init__(self, what: str) -> None:
        super().__init__([f"The shred log {what}. {NEW_LOG}"])


class PutBack(ConfigurationError):
    """The log knows of endings that the database does not know of: it was put back from a backup."""

    def __init__(self, which: str = "database") -> None:
        known = f"The shred log holds what this {which} does not know of"
        super().__init__([f"{known}: a backup was put back. Stop every broker, then run: broker restore"])
