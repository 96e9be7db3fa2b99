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
model = App(name="model", help="Models: register a bundle, promote it.")

for group in (case, dataset, projection, model):
    app.command(group)

COMMANDS = (
    (app, "up", "ictus.cli.serve:up"),
    (app, "demo", "ictus.cli.serve:demo"),
    (app, "run", "ictus.cli.serve:run"),
    (app, "doctor", "ictus.cli.doctor:doctor"),
    (app, "events", "ictus.cli.cases:events"),
    (app, "invite", "ictus.cli.people:invite"),
    (case, "list", "ictus.cli.cases:list_cases"),
    (case, "find", "ictus.cli.cases:find"),
    (case, "show", "ictus.cli.cases:show"),
    (dataset, "build", "ictus.cli.datasets:build"),
    (projection, "status", "ictus.cli.projections:status"),
    (projection, "rebuild", "ictus.cli.projections:rebuild"),
    (model, "register", "ictus.cli.models:register"),
    (model, "promote", "ictus.cli.models:promote"),
)
for group, name, function in COMMANDS:
    group.command(function, name=name)
