"""The command line, `aspen`: one file per group of commands, each of which parses, calls and prints."""
