"""`lextune extract`, `evaluate` and `serve`: using a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lextune.apps.cli.console import Bars, commands, log, out, print_json, quiet_libraries, request_log, score_table
from lextune.core.counts import counted
from lextune.core.errors import ContextError, DocumentError, LextuneError, UserError, shorten
from lextune.core.records import Record
from lextune.deploy.settings import ServiceSettings
from lextune.text.printable import printable
from lextune.text.values import in_words

LIMITS = ServiceSettings()

ReleaseOption = Annotated[
    Path | None, typer.Option("--release", help="A release or a run's folder; by default this package's expert.")
]
EngineOption = Annotated[str | None, typer.Option("--engine", help="openvino, openvino-f32 or transformers.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one record a line.")]


def extract(
    files: Annotated[list[Path], typer.Argument(help="PDF, DOCX, HTML, mail or text files.")],
    release: ReleaseOption = None,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write the document with its evidence lit.")] = None,
    text_out: Annotated[Path | None, typer.Option("--text-out", help="Write the text offsets refer to.")] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option("--min-confidence", min=0, max=1, help="Mark for review what is less sure than this."),
    ] = None,
    engine: EngineOption = None,
) -> None:
    """Read documents with a release and print their records."""
    from lextune.api import load
    from lextune.apps.web.evidence import render_evidence
    from lextune.core.artifacts import write_atomic

    if len(files) > 1 and (html or text_out):
        raise UserError("--html and --text-out are for one document", do="give one file, or leave them out")
    quiet_libraries()
    loaded = load(release, engine=engine)
    failed: list[LextuneError] = []
    for file in files:
        try:
            document = loaded.read(file)
            record = loaded.predict(document, min_confidence=min_confidence).record
        except (DocumentError, ContextError) as error:
            named = type(error)(error.what, where=error.where or str(file), do=error.do)
            if len(files) == 1:
                raise named from None
            failed.append(named)
            log.print(f"error: {named}", markup=False)
            continue
        if text_out:
            write_atomic(text_out, document.text)
        if html:
            write_atomic(html, render_evidence(document, record))
        if as_json:
            print_json(record.as_json())
        else:
            out.print(record_table(record))
    if failed:
        raise DocumentError(
            f"{len(failed)} of {counted(len(files), 'document')} could not be answered", do="see the errors above"
        )


def record_table(record: Record) -> Table:
    """Return a record as a table of what is present; what is not, and what was not assessed, stands below it.

    Controls are replaced: a contract could steer the terminal with them.
    """
    pages = f", {counted(record.document.pages, 'page')}" if record.document.pages else ""
    table = Table(title=escape(f"{printable(record.document.name)}{pages}, read by {record.release}"))
    for column in ("field", "answer", "page", "confidence", "status", "evidence"):
        table.add_column(column, overflow="fold")
    absent = [name for name, answer in record.fields.items() if answer is None]
    for name, answer in record.fields.items():
        if answer is None:
            continue
        evidence = " … ".join(quote.text for quote in answer.quotes)
        page = answer.quotes[0].page if answer.quotes else None
        table.add_row(
            escape(name),
            escape(printable(in_words(answer.answer))),
            str(page or ""),
            f"{answer.confidence:.2f}",
            answer.status,
            escape(printable(shorten(evidence, 110))),
        )
    notes = [f"{len(absent)} not found: {', '.join(absent)}"]
    if scanned := record.document.scanned_pages:
        notes.append(f"{counted(len(scanned), 'page')} not read, a picture each: {', '.join(map(str, scanned))}")
    if record.not_assessed:
        notes.append(f"{len(record.not_assessed)} not assessed: {', '.join(record.not_assessed)}")
    table.caption, table.caption_justify = escape("\n".join(notes)), "left"
    return table


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Annotated contracts, or rows: whatever a recipe takes.")],
    release: ReleaseOption = None,
    as_json: AsJson = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first so many documents only.")] = None,
    engine: EngineOption = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Keep the predictions here, a file an arm.")] = None,
) -> None:
    """Evaluate a release on annotated contracts, beside the baselines; after a kill it goes on where it was."""
    from lextune import api
    from lextune.evaluate.summary import summary_header, summary_rows

    quiet_libraries()
    with Bars() as bars:
        result = api.evaluate(
            api.load(release, engine=engine),
            data,
            limit=limit,
            out=out_dir,
            progress=lambda done, total, name: bars("evaluate", done, total, name),
        )
    if result["learnt_from"]:
        log.print(
            f"{result['learnt_from']} of {counted(result['n_documents'], 'document')} trained or tuned this release: "
            "the scores say nothing about new documents",
            markup=False,
        )
    if as_json:
        print_json(result)
        return
    arms = {"tuned": result} | {n: b for n, b in result["baselines"].items() if b is not None}
    title = f"{counted(result['n_documents'], 'document')} of {data}"
    out.print(score_table(summary_header(arms), summary_rows(arms), title))
    for test in result["paired"]:
        out.print(test["sentence"], markup=False)


def serve(
    release: Annotated[
        Path | None, typer.Argument(help="A release folder, or a run's folder; by default this package's expert.")
    ] = None,
    host: Annotated[str, typer.Option("--host")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 8000,
    engine: EngineOption = None,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Of a body.")] = LIMITS.max_bytes,
    max_characters: Annotated[
        int, typer.Option("--max-characters", min=1, help="Of a document or a conversation.")
    ] = LIMITS.max_characters,
    max_queue: Annotated[int, typer.Option("--max-queue", min=0, help="Requests that wait.")] = LIMITS.max_queue,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds of a request.")
    ] = LIMITS.timeout_seconds,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Of an answer.")] = LIMITS.max_tokens,
) -> None:
    """Serve a release over HTTP. The key is read from $LEXTUNE_API_KEY; without one only loopback is served."""
    from lextune.api import load
    from lextune.deploy.service import key_from_environment
    from lextune.deploy.service import serve as start

    quiet_libraries()
    settings = ServiceSettings(
        max_bytes=max_bytes,
        max_characters=max_characters,
        max_queue=max_queue,
        timeout_seconds=timeout,
        max_tokens=max_tokens,
    )
    with request_log():
        start(
            lambda: load(release, engine=engine).expert,
            settings,
            host=host,
            port=port,
            api_key=key_from_environment(),
            on_ready=lambda url: log.print(f"serving {url}", markup=False),
        )


command = commands(extract=extract, evaluate=evaluate, serve=serve)
