"""Reading documents: TXT, PDF, DOCX and HTML become one text with a map back to pages.

    read_document(path) -> Document
      reader   takes the bytes, asks `sniff` what they are, names the document
      sniff    content first, the extension where the content does not say
      plain    TXT: its UTF-8 decoding, nothing changed
      isolate  PDF, DOCX, HTML: a child process with memory, time, page and character limits
      child    what runs there: pdf | word (with numbering) | html

The child imports this package and must start fast, so nothing here imports pydantic, lxml, pypdfium2 or
python-docx before it is needed.
"""

from __future__ import annotations

from lextune.text.reading.base import Limits
from lextune.text.reading.reader import read_document

__all__ = ["Limits", "read_document"]
