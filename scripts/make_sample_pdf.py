"""Write `resources/sample_contract.pdf`, a sample contract to read with `lextune extract`.

    python scripts/make_sample_pdf.py [FILE]

Needs reportlab (the `dev` extra). The same wording gives the same bytes.
"""

from __future__ import annotations

import html
import sys
from pathlib import Path

from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import inch
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate

from lextune.data.synthesis import PDF_SEED, generate
from lextune.expert.schema import load_schema

TARGET = Path(__file__).resolve().parents[1] / "src" / "lextune" / "resources" / "sample_contract.pdf"


def write_pdf(target: Path) -> None:
    """Write the contract on letter pages with numbered feet; bytes depend on the text and reportlab alone."""
    document = generate(1, PDF_SEED, schema=load_schema("clauses-47"))[0]
    body = ParagraphStyle("body", fontName="Times-Roman", fontSize=10.5, leading=13.5, spaceAfter=7)
    title = ParagraphStyle("title", parent=body, fontName="Times-Bold", fontSize=14, leading=20, alignment=1)
    blocks = [block for block in document.text.split("\n\n") if block.strip()]
    name = document.labels["Document Name"].parts[0]
    story = [
        Paragraph(html.escape(block.strip("\n")).replace("\n", "<br/>"), title if block == name else body)
        for block in blocks
    ]
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), inch)
    template = SimpleDocTemplate(
        str(target), pagesize=LETTER, title=name, author="lextune sample", invariant=1, **margins
    )
    template.build(story, onFirstPage=_foot, onLaterPages=_foot)


def _foot(canvas: Canvas, template: SimpleDocTemplate) -> None:
    canvas.setFont("Times-Roman", 9)
    canvas.drawCentredString(LETTER[0] / 2, 0.6 * inch, f"Page {template.page}")


if __name__ == "__main__":
    write_pdf(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
