"""The operator's commands, a file a group; `broker.cli` puts them together. Imports that cost are made when used."""
