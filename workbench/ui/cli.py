"""The command `workbench` (also `jupyter workbench`). Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench import __version__
from workbench.ui import cli_review
from workbench.ui.options import Folder, Json
from workbench.ui.options import option as _option
from workbench.ui.say import emit, failure, out

app = typer.Typer(
    name="workbench",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Moves a legacy ML model and its data to PyTorch, and proves it was safe. Start with: workbench demo",
)


def _version(asked: bool) -> None:
    if asked:
        out(f"migration-workbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="print the version and stop", is_eager=True, callback=_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks (also after a command)")] = False,
) -> None:
    """The two options every command knows; --debug is read in `main`."""


@app.command(short_help="Propose and write a migration.yaml")
def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="to make the migration in")],
    data: Annotated[list[str], _option("FILE", "rows both models are judged on: CSV, Parquet, a glob; repeatable")],
    model: Annotated[str, _option("MODEL", "the legacy model: a file, python:package.module:function or column:NAME")],
    target: Annotated[str, _option("COLUMN", "holds the truth; proposed when left out")] = "",
    protected: Annotated[str, _option("COLUMNS", "no group of which may fare worse, comma-separated")] = "",
    train: Annotated[list[str] | None, _option("FILE", "rows the legacy model was trained on; repeatable")] = None,
    production: Annotated[list[str] | None, _option("FILE", "recent rows from production; repeatable")] = None,
    positive: Annotated[str, _option("CLASS", "counts as selected; proposed when left out")] = "",
    task: Annotated[str, _option("KIND", "binary, multiclass or regression; proposed when left out")] = "",
    option: Annotated[list[str] | None, _option("NAME=VALUE", "for the model's reader; repeatable")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a migration.yaml that is there")] = False,
    as_json: Json = False,
) -> None:
    """Look at data and model, propose a migration.yaml with the reasons, and write it."""
    from workbench.ui import making

    chosen = making.Chosen(
        data=tuple(data), model=model, target=target, positive=positive, task=task,
        options=tuple(option or ()), train=tuple(train or ()),
        production=tuple(production or ()), protected=tuple(filter(None, map(str.strip, protected.split(",")))),
    )  # fmt: skip
    making.new(folder, chosen, force=force, as_json=as_json)


@app.command(short_help="Write a sample to try things on")
def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="to write the sample to")] = Path("demo"),
    force: Annotated[bool, typer.Option("--force", help="replace a migration that is there")] = False,
    as_json: Json = False,
) -> None:
    """Write a synthetic lending portfolio with a legacy model and planted problems, ready to run."""
    from workbench.ui import making

    making.demo(folder, force=force, as_json=as_json)


@app.command(short_help="Put the notebooks into the migration, to work in by hand")
def notebooks(folder: Folder = Path(), as_json: Json = False) -> None:
    """Put the journey's notebooks into the migration's `notebooks`, to work in by hand.

    What your team changed there is never overwritten, and is what `workbench run` executes from then on.
    """
    from workbench.ui import making

    making.notebooks(folder, as_json=as_json)


@app.command(short_help="Validate migration.yaml, data and models")
def check(folder: Folder = Path(), as_json: Json = False) -> None:
    """Validate migration.yaml (with line numbers), open its data and models, compare their columns."""
    from workbench.migration import open_migration
    from workbench.ui.check import checked
    from workbench.ui.say import typed

    found = checked(open_migration(folder))
    problems = [{"file": one.file, "line": one.line, "key": one.key, "problem": one.sentence} for one in found.problems]
    emit({"ok": not problems, "facts": found.facts, "problems": problems}, as_json)
    if not as_json:
        for fact in found.facts:
            out(fact)
        for problem in found.problems:
            out(f"✗ {problem}", style="fail")
        out(f"✓ Ready to run: workbench run {typed(folder)}" if not problems else f"{len(problems)} to put right.")
    raise typer.Exit(1 if problems else 0)


@app.command(short_help="Where the migration stands, what is next")
def status(folder: Folder = Path(), as_json: Json = False) -> None:
    """Where the migration stands: a sentence per chapter, what is stale, what is next."""
    from workbench.ui import showing

    showing.status(folder, as_json=as_json)


@app.command(short_help="Run the journey unattended")
def run(
    folder: Folder = Path(),
    only: Annotated[list[str] | None, _option("NAME", "run this notebook only, e.g. bias; repeatable")] = None,
    start: Annotated[str, _option("NAME", "run this notebook and those after it", "--from")] = "",
    param: Annotated[
        list[str] | None, _option("NAME=VALUE", "for this run, e.g. bias.min_group=30; repeatable", "-p", "--param")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, metavar="N", show_default="2", help="at a time; on a cluster all that fit"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="run what is fresh, too")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would run, and why, and stop")] = False,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", show_default="3600", help="that one notebook may take")
    ] = 3600.0,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="take the migration over from a run on a machine that is gone")
    ] = False,
    junit: Annotated[Path | None, _option("FILE", "write what was found there, as JUnit XML for CI")] = None,
    engine: Annotated[str, _option("ENGINE", "where notebooks are executed: local or ray")] = "local",
    ray_address: Annotated[str, _option("ADDRESS", "of a Ray cluster; else RAY_ADDRESS, else this machine")] = "",
    progress: Annotated[str, _option("HOW", "auto, live, plain, json or none")] = "auto",
    as_json: Json = False,
) -> None:
    """Run the journey unattended. Ends with 0 ready, 1 blocked by findings, 2 could not assess, 3 broke."""
    from workbench.ui import running

    wanted = running.Wanted(
        only=tuple(only or ()), start=start, params=tuple(param or ()), jobs=jobs, force=force, timeout=timeout,
        take_over=take_over, where=engine, address=ray_address, junit=junit,
    )  # fmt: skip
    code = running.dry(folder, wanted, as_json) if dry_run else running.run(folder, wanted, progress, as_json)
    raise typer.Exit(code)


@app.command(short_help="Show the evidence of one audit")
def show(
    folder: Folder,
    audit: Annotated[str, typer.Argument(metavar="NAME", help="of the audit or notebook, e.g. bias")],
    full: Annotated[bool, typer.Option("--full", help="with why it matters, how to fix it, and the tables")] = False,
    as_json: Json = False,
) -> None:
    """Show the newest evidence of one audit."""
    from workbench.ui import showing

    showing.show(folder, audit, full=full, as_json=as_json)


@app.command(short_help="What a finding means and how to fix it")
def explain(
    finding: Annotated[
        str, typer.Argument(metavar="FINDING", help="its id, e.g. bias/selection-rate-gap; none lists all")
    ] = "",
    as_json: Json = False,
) -> None:
    """Say what a finding means: why it matters, how to fix it, where its formula comes from."""
    from workbench.ui import showing

    showing.explain(finding, as_json=as_json)


@app.command(short_help="Path of the report, made up to date")
def report(
    folder: Folder = Path(),
    output: Annotated[Path | None, _option("FILE", "write it there instead", "-o", "--output")] = None,
    browser: Annotated[bool, typer.Option("--open", help="open it in the browser")] = False,
    as_json: Json = False,
) -> None:
    """Make sure the report is up to date with the stored evidence (one file, offline) and print its path.

    An output that ends in .pdf is printed by a headless Chromium, where there is one.
    """
    from workbench.ui import showing

    showing.report(folder, output, browser=browser, as_json=as_json)


@app.command(short_help="Let a finding pass until a day, with a reason")
def waive(
    folder: Folder = Path(),
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="its id[subject]; none lists what is waived")] = "",
    reason: Annotated[str, _option("TEXT", "why it may pass")] = "",
    until: Annotated[str, _option("DAY", "the last day it may, e.g. 2026-12-31")] = "",
    end: Annotated[int, _option("ENTRY", "end this waiver now instead")] = 0,
    as_json: Json = False,
) -> None:
    """Let a finding pass until a day: it then counts as a warning that names you, your reason and the day."""
    from workbench.ui import signing

    signing.waive(folder, finding, reason=reason, until=until, end=end, as_json=as_json)


@app.command(short_help="Decide on the migration, or see where the sign-off stands")
def sign(
    folder: Folder = Path(),
    decision: Annotated[str, _option("DECISION", "approve, approve-with-conditions or reject")] = "",
    role: Annotated[str, _option("ROLE", "in which you decide; yours, where you have one")] = "",
    comment: Annotated[str, _option("TEXT", "for those who read the decision later")] = "",
    condition: Annotated[list[str] | None, _option("TEXT", "'what; who owns it; 2026-12-31'; repeatable")] = None,
    revoke: Annotated[int, _option("ENTRY", "take this decision of yours back")] = 0,
    reason: Annotated[str, _option("TEXT", "why it is taken back")] = "",
    as_json: Json = False,
) -> None:
    """Decide on exactly what is stored now; any change makes the decision stale. Without options: where it stands."""
    from workbench.ui import signing

    said = signing.Signed(decision, role, comment, tuple(condition or ()), revoke, reason)
    signing.sign(folder, said, as_json=as_json)


@app.command(short_help="Record that the approved candidate takes over")
def promote(folder: Folder = Path(), as_json: Json = False) -> None:
    """Record that the candidate takes over. Refused unless the sign-off is complete, for exactly what is stored now."""
    from workbench.ui import signing

    signing.promote(folder, as_json=as_json)


@app.command(short_help="Record runs, training and candidates in MLflow")
def track(
    folder: Folder = Path(),
    uri: Annotated[str, _option("URI", "of the store, instead of tracking.uri in migration.yaml")] = "",
    as_json: Json = False,
) -> None:
    """Record in MLflow what lies there, once; after a run by itself where migration.yaml has a `tracking` section."""
    from workbench.ui import tracking

    tracking.track(folder, uri, as_json=as_json)


@app.command(short_help="Check that nothing was changed since it was written")
def verify(
    where: Annotated[Path, typer.Argument(metavar="FOLDER", help="of the migration, or an exported bundle")] = Path(),
    key: Annotated[list[str] | None, _option("KEY", "public key you hold, or its file; repeatable")] = None,
    checkpoint: Annotated[str, _option("SIZE:ROOT", "of the ledger, as a report you hold prints it")] = "",
    as_json: Json = False,
) -> None:
    """Check every byte of the ledger and the runs it signed, offline; ends with 1 and names what was changed."""
    from workbench.ui import signing

    raise typer.Exit(0 if signing.verify(where, tuple(key or ()), checkpoint, as_json=as_json) else 1)


@app.command(short_help="One file with all evidence, that a stranger can check")
def export(
    folder: Folder = Path(),
    output: Annotated[Path | None, _option("FILE", "write it there", "-o", "--output")] = None,
    form: Annotated[
        str,
        _option(
            "FORMAT",
            "bundle, or one alone: junit, cyclonedx, oscal, openlineage, in-toto, model-signature, model-card or csv",
            "--format",
        ),
    ] = "bundle",
    as_json: Json = False,
) -> None:
    """Write report, evidence, ledger, public keys and every exchange format into one signed bundle, or one format."""
    from workbench.ui import emitting

    emitting.export(folder, output, form, as_json=as_json)


@app.command(short_help="Your public key; who else may sign")
def key(
    folder: Folder = Path(),
    accept: Annotated[str, _option("KEY", "public key, or its file, that may sign here from now on")] = "",
    owner: Annotated[str, _option("NAME", "whose key that is")] = "",
    as_json: Json = False,
) -> None:
    """Print your public key, or accept another one into the migration's ledger."""
    from workbench.ui import signing

    signing.key(folder, accept, owner, as_json=as_json)


@app.command(short_help="Make another program run the journey on time")
def schedule(
    folder: Folder = Path(),
    at: Annotated[str, _option("CRON", "when: the five fields of cron, or @daily")] = "0 6 * * mon",
    how: Annotated[str, _option("HOW", "cron, systemd, kubernetes, github or airflow", "--as")] = "cron",
    only: Annotated[list[str] | None, _option("NAME", "run this notebook only; repeatable")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, metavar="N", help="notebooks at a time")] = 2,
    image: Annotated[str, _option("IMAGE", "kubernetes: with the workbench in it")] = "",
    claim: Annotated[str, _option("CLAIM", "kubernetes: the volume claim that holds the migration")] = "",
    output: Annotated[Path | None, _option("FOLDER", "write the files there", "-o", "--output")] = None,
    as_json: Json = False,
) -> None:
    """Write what makes cron, systemd, Kubernetes, GitHub Actions or Airflow run the journey on time."""
    from workbench.ui import schedule as schedules

    wanted = schedules.wanted(folder, at, tuple(only or ()), jobs, image, claim)
    schedules.schedule(wanted, how, output, as_json=as_json)


cli_review.add(app)


@app.command(short_help="What this machine is, and can do at most")
def hardware(
    seconds: Annotated[float, typer.Option(min=0.01, metavar="S", help="to measure each figure for")] = 0.3,
    as_json: Json = False,
) -> None:
    """What this machine is: processor, limits, memory, GPUs; and its measured memory bandwidth and matrix products."""
    from workbench.ui import hardware as probe

    probe.hardware(seconds, as_json=as_json)


def main(arguments: list[str] | None = None) -> int:
    """Entry point: every known error is a sentence on stderr and exit code 3; a traceback only with --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [word for word in given if word != "--debug"]
    try:
        code: Any = app(given, prog_name="workbench", standalone_mode=False)
        return int(code or 0)
    except BrokenPipeError:
        return 0
    except Exception as error:
        if debug:
            raise
        return _told(error, given)


USAGE = 64
"""A command that was typed wrongly; 2 is taken by "could not assess"."""


def _told(error: Any, given: list[str]) -> int:
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()
        return USAGE
    if hasattr(error, "exit_code"):
        return int(error.exit_code)
    if type(error).__module__.startswith("workbench."):
        failure(str(error), given)
        return int(getattr(error, "code", 3))
    kind = type(error).__name__
    failure(f"Something broke that should not: {kind}: {error}. Run again with --debug to see where.", given)
    return 3


if __name__ == "__main__":
    sys.exit(main())
