"""The command line. Commands import what they need when they run, so that help is instant."""

from cyclopts import App

app = App(
    name="ictus",
    help="Gathers the evidence for the cause of an ischaemic stroke. Research prototype, not a"
    " medical device.",
    version="0.1.0",
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
case = App(name="case", help="Cases: list them, find one, tell its whole story.")
dataset = App(name="dataset", help="Datasets: pure functions of the ledger.")
projection = App(name="projection", help="Read models: where they stand, rebuild them.")
audit = App(name="audit", help="Proof that nobody changed the ledger.")
advice = App(name="advice", help="Examinations that answers advise, and every earlier text.")
model = App(name="model", help="Models: test a bundle, register it, promote it.")
dlq = App(name="dlq", help="Dead letters: what a worker could not do, and what waits behind it.")
image = App(name="image", help="Images: de-identify local files.")

for group in (case, dataset, projection, audit, model, advice, dlq, image):
    app.command(group)

# Summaries stand here as well as in the functions, which are not imported to show them.
COMMANDS = (
    (app, "up", "serve:up", "Runs everything here until Ctrl-C; needs a bot's token."),
    (app, "demo", "serve:demo", "Plays synthetic cases and shows what happened."),
    (app, "furnish", "serve:furnish", "Makes what must stand before any role; repeatable."),
    (app, "nkeys", "nkeys:nkeys", "Makes the NATS users' keys and the server's list of them."),
    (app, "run", "serve:run", "Runs one or several roles in this process."),
    (app, "doctor", "doctor:doctor", "Checks every part and says how to mend it."),
    (app, "events", "cases:events", "The ledger's events as NDJSON, as stored."),
    (
        app,
        "import",
        "imports:import_cases",
        "Takes in existing cases that a manifest lists; repeatable.",
    ),
    (app, "reingest", "reingest:reingest", "Has a profile ingest images again; repeatable."),
    (app, "synth", "synth:synth", "Makes synthetic cases with their truth. Not clinically valid."),
    (app, "train", "train:train", "Trains a model on a verified dataset and writes a bundle."),
    (app, "quality", "quality:quality", "How right, how sure and how fast the answers were."),
    (app, "invite", "people:invite", "Makes an invitation link, for one or for many."),
    (case, "list", "cases:list_cases", "The latest cases."),
    (case, "find", "cases:find", "Finds cases by the card's code or by UUID."),
    (case, "show", "cases:show", "The whole story of a case, as of any moment."),
    (case, "explain", "replays:explain", "Makes a case's last prediction again, bit for bit."),
    (case, "link", "erasure:link", "Says that two cases are of one patient."),
    (case, "apart", "erasure:apart", "Says that two cases are of two patients."),
    (case, "withdraw", "erasure:withdraw", "Takes a case out of all later datasets."),
    (case, "erase", "erasure:erase", "Destroys a case's key and objects for ever."),
    (dataset, "build", "datasets:build", "Builds rows, images and proofs of a dataset, signed."),
    (dataset, "verify", "datasets:verify", "Checks a dataset's folder, each row to its events."),
    (dataset, "proof", "datasets:proof", "Writes a row with proof, for anybody to check."),
    (dataset, "diff", "differences:diff", "Which rows changed, and the events that did it."),
    (projection, "status", "projections:status", "Version, position and lag of all."),
    (
        projection,
        "rebuild",
        "projections:rebuild",
        "Builds some anew, from one reading, and switches.",
    ),
    (audit, "verify", "audit:verify", "Compares stream, witness, archive and signed heads."),
    (audit, "proof", "audit:proof", "Writes a case's events with proof that nobody changed them."),
    (audit, "repair", "repair:repair", "Restores a damaged ledger, identical, from the archive."),
    (audit, "restore", "repair:restore", "Writes the archived ledger into an empty server."),
    (model, "register", "models:register", "Checks a bundle and makes it known here."),
    (
        advice,
        "list",
        "advice:list_texts",
        "The examinations that may be advised, as of any moment.",
    ),
    (advice, "show", "advice:show", "Every text an examination had, and who stood for it."),
    (model, "test", "model_tests:examine", "Measures a bundle and holds it to limits."),
    (model, "compare", "model_tests:compare", "Two bundles on the same cases."),
    (model, "replay", "replays:replay", "What a bundle would have told every past case."),
    (model, "promote", "models:promote", "Gives a model a role; whoever had the place leaves it."),
    (
        model,
        "rollback",
        "models:rollback",
        "Takes the last promotion back: the model before it answers again.",
    ),
    (model, "retire", "models:retire", "Takes a model's role from it."),
    (
        model,
        "list",
        "models:list_models",
        "The models known here: their roles, audiences and tests.",
    ),
    (dlq, "list", "dlq:list_letters", "What was set aside, line by line."),
    (dlq, "show", "dlq:show", "The whole story of a dead letter and its line."),
    (dlq, "retry", "dlq:retry", "Lets the worker try again, in order."),
    (dlq, "discard", "dlq:discard", "Skips it for ever."),
    (image, "inspect", "images:inspect", "De-identifies local files and says what became of each."),
)
for group, name, function, summary in COMMANDS:
    group.command(f"ictus.cli.{function}", name=name, help=summary)
