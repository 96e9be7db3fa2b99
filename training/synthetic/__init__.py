"""Version 2 of the synthetic cases: made-up strokes with their whole truth. Not clinically valid.

Read in this order: frequencies, facts, oracle; territories, lesions, scan; keyimages, viewer, phone,
hostile; cases (one case), folder (many), rows (a dataset for training). docs/synth.md tells where
each number comes from.
"""

VERSION = "synth@2"
NOTICE = {
    "en": "Synthetic phantoms: not clinically valid.",
    "ru": "Синтетические фантомы: клинически недостоверно.",
}
