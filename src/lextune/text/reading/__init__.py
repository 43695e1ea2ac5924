"""Reading documents: TXT, PDF, DOCX, HTML, EML and scans become one text with a map back to pages.

    read_document(path) -> Document
      reader   takes the bytes, asks `sniff` what they are, names the document
      sniff    content first, the extension where the content does not say
      plain    TXT: its UTF-8 decoding, nothing changed
      isolate  all others: a child process with memory, time, page and character limits
      child    what runs there: pdf | word (with numbering) | html | mail | raster
      ocr      pages that are pictures: drawn by raster, read by tesseract, joined by pages

The child imports this package and must start fast, so nothing here imports pydantic, lxml, pypdfium2, PIL or
python-docx before it is needed.
"""

from __future__ import annotations

from lextune.text.reading.base import Limits
from lextune.text.reading.ocr import Ocr
from lextune.text.reading.reader import document_of, read_document

__all__ = ["Limits", "Ocr", "document_of", "read_document"]
