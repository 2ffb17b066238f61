"""The shred log: what was ended, kept outside the data's database (docs/adr/0019)."""

from broker.shredlog.fault import LogFault, PutBack
from broker.shredlog.line import START, Line, Mark
from broker.shredlog.log import KEYS, LOG, ShredLog, marked, set_mark

__all__ = ["KEYS", "LOG", "START", "Line", "LogFault", "Mark", "PutBack", "ShredLog", "marked", "set_mark"]
