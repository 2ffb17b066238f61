"""The connectors we ship, one file each. Each is a value; the broker finds it by its entry point."""
