"""One file a revision; the newest is `broker.schema.HEAD`."""
