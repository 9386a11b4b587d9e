"""The store in a Postgres database, for many tenants. Needs the extra `postgres`."""

from aspen.repository._postgres._repository import PostgresRepository

__all__ = ["PostgresRepository"]
