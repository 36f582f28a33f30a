"""What a stream holds in memory."""

from staf_backend.staf.streaming import StafStream


def bytes_per_track(stream: StafStream) -> int:
    """Of the frames that a track keeps between two pushes; the store must hold some."""
    tables = stream.store.tables.values()
    per_frame = sum(table[0].numel() * table.element_size() for table in tables)
    return (stream.network.window - 1) * per_frame
