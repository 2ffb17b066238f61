"""Seal, open, rewrap, shred: scheme TPB1 (docs/facts/security.md §4.2), and the only user of `cryptography`.

    key encryption key (a `KeySource`, outside the database)
     └─ wraps a tenant's key
         └─ wraps a connection's key
             └─ with a fresh salt derives one message's key, nonce and commitment

`vault` has the verbs, `cipher` the bytes, `ring` the key encryption keys, `rows` the key tables, `store` where these
are, `moving` their way there, `memory` unwrapped tenant keys, `rotation` a rotation from end to end. There is no
fall-back to plain text and no trying of keys.
"""

from broker.vault.cipher import Undecryptable, lp
from broker.vault.moving import move_keys
from broker.vault.ring import KeyRing
from broker.vault.rotation import Report, Rotated, rotate
from broker.vault.rows import KEY_COLUMNS, ROOT, WRAPPED_BY, KeyRows, KeyStatus
from broker.vault.store import check_place, shred_owed
from broker.vault.vault import Vault

__all__ = [
    "KEY_COLUMNS",
    "ROOT",
    "WRAPPED_BY",
    "KeyRing",
    "KeyRows",
    "KeyStatus",
    "Report",
    "Rotated",
    "Undecryptable",
    "Vault",
    "check_place",
    "lp",
    "move_keys",
    "rotate",
    "shred_owed",
]
