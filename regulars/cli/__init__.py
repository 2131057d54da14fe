"""The `regulars` command: what its verbs take, a file per group; what they do stands in verbs/.

Help and completion answer at once: whatever takes long to import, a verb imports when it is called.
"""

import typer

from regulars.cli import (
    audit,
    bench,
    customers,
    dead_letters,
    history,
    installation,
    keys,
    privacy,
    reprocess,
    segments,
    sources,
    vault,
)

# Plain tracebacks, and those of bugs alone: the pretty ones are cut to the terminal and print what variables hold.
app = typer.Typer(
    help="Regulars: an event-driven CRM for online shops.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("up")(installation.up)
app.command("demo")(installation.demo)
app.command("import")(history.import_)
app.command("simulate")(history.simulate)
app.command("migrate")(installation.migrate)
app.command("reprocess")(reprocess.reprocess)
app.command("doctor")(installation.doctor)
app.command("bench")(bench.bench)
app.add_typer(keys.group, name="keys")
app.add_typer(customers.group, name="customers")
app.add_typer(segments.group, name="segments")
app.add_typer(privacy.group, name="privacy")
app.add_typer(vault.group, name="vault")
app.add_typer(audit.group, name="audit")
app.add_typer(sources.group, name="sources")
app.add_typer(dead_letters.group, name="dead-letters")
