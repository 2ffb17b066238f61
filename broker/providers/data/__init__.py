"""What there is to read at each provider, one file an API: resources as plain values (`broker.providers.resource`)."""
