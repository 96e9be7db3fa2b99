"""One hash over all a read model holds, to prove that a rebuild gives what was there before."""

from hashlib import sha256

from commands.ports import Db

TABLES = """
SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
WHERE table_schema = $1 AND table_type = 'BASE TABLE' ORDER BY table_name
"""
# Each row is hashed first, so that the sorted whole stays small: 32 bytes a row.
ROWS = """
SELECT sha256(coalesce(string_agg(hash, NULL ORDER BY hash), '')) FROM (
    SELECT sha256(convert_to(one::text, 'UTF8')) AS hash FROM {table} AS one
) AS rows
"""


async def of_schema(db: Db, schema: str) -> str:
    """SHA-256 (hex) over all rows of all tables, whatever order they lie in."""
    whole = sha256()
    for found in await db.fetch(TABLES, schema):
        table = found["format"]
        whole.update(table.removeprefix(f"{schema}.").encode() + b"\0")
        whole.update(await db.fetchval(ROWS.format(table=table)))
    return whole.hexdigest()
