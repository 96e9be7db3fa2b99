"""Read models in PostgreSQL: each file has its tables, how events change them, and its queries.

All are made from the ledger alone, can be thrown away, and come back identical by replay. To add
one, write its file and put it in the table below; `projections.runner` does the rest.
"""

from projections import advice, dataset, deadletters, history, inbox, people, quality
from projections.projection import Projection

PROJECTIONS = {
    projection.name: projection
    for projection in (
        Projection("advice", 1, advice.DDL, advice.apply),
        Projection("dataset", 3, dataset.DDL, dataset.apply),
        Projection("deadletters", 1, deadletters.DDL, deadletters.apply),
        Projection("history", 1, history.DDL, history.apply, history.INDICES),
        Projection("inbox", 3, inbox.DDL, inbox.apply, inbox.INDICES),
        Projection("people", 1, people.DDL, people.apply),
        Projection("quality", 4, quality.DDL, quality.apply),
    )
}
