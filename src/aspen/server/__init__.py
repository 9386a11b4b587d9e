"""The server: a REST API over the front door, and the page that uses it. Needs the extra `server`."""
