"""Datasets as folders: written, signed, checked.

    manifest.json         what it is: the Merkle root, and all it was made from
    rows.ndjson           the canonical rows; their bytes are the leaves of the root
    parquet/<split>.parquet   the same rows for other tools; never the dataset's identity
    images/               de-identified derivatives, `<sha256>.png` or `.webp`
    shards/               the same again as WebDataset, if asked for
    log.entries           the ledger's log up to the last event read: 32 bytes an event
    croissant.json        Croissant 1.1 metadata
    README.md             the card, for people and for Hugging Face
    statement.dsse.json   who vouches for all of the above

The same dataset always gives the same bytes, but for the statement, which holds the witness's latest
checkpoint: nothing here knows the time.
"""
