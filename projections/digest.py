"""One hash over all a read model holds, to prove that a rebuild gives what was there before."""

from hashlib import sha256

from commands.ports import Db
from projections.cursor import LONG_SECONDS_MAX

TABLES = """
SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
WHERE table_schema = $1 AND table_type = 'BASE TABLE' ORDER BY table_name
"""
# Sums do not mind in which order rows lie. Two seeds make 128 bits, enough against chance; nobody
# is meant to be kept from forging what both versions were made of.
ROWS = """
SELECT format('%s %s %s', count(*), sum(hash_record_extended(one, 0)),
    sum(hash_record_extended(one, 1))) FROM {table} AS one
"""


async def of_schema(db: Db, schema: str) -> str:
    """SHA-256 (hex) over the number and the hashes of all rows of all tables, in whatever order.

    Rows are equal when PostgreSQL holds all their columns for equal.
    """
    whole = sha256()
    for found in await db.fetch(TABLES, schema):
        table = found["format"]
        counted = await db.fetchval(ROWS.format(table=table), timeout=LONG_SECONDS_MAX)
        whole.update(f"{table.removeprefix(f'{schema}.')} {counted}\n".encode())
    return whole.hexdigest()
