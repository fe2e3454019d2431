"""What wandb has stored of an offline run, for tests that read it back."""

import json
import os
import struct
from pathlib import Path
from typing import Any


def without_wandb() -> dict[str, str]:
    """Variables for another process, without the address of this one's service.

    A test may have killed that, and wandb in a child would wait for it.
    """
    return {key: value for key, value in os.environ.items() if key != "WANDB_SERVICE"}


def wandb_records(path: Path) -> list[Any]:
    """What a .wandb file holds: a LevelDB log, of blocks of 32 KiB, behind 7 bytes of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts, records = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # too little for a header: the block's end is padding
            at += 32768 - at % 32768
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(parts))
            parts = b""
    return records


def wandb_rows(records: list[Any]) -> list[dict[str, Any]]:
    """The history in these records, without wandb's own columns, which begin with an underscore."""
    items = [record.history.item for record in records if record.HasField("history")]
    rows = [{item.nested_key[0]: json.loads(item.value_json) for item in row} for row in items]
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
