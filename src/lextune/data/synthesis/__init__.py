"""Sample contracts written by the project itself, and the set of them in the package.

The set in `resources/sample_contracts/` is what these settings give; after a change of the wording:

    lextune data synth --n 48 --seed 17 --out src/lextune/resources/sample_contracts
    python scripts/make_sample_pdf.py
"""

from lextune.data.synthesis.cuad_layout import write_cuad_layout
from lextune.data.synthesis.generator import generate

SAMPLE_COUNT, SAMPLE_SEED = 48, 17
PDF_SEED = 2  # the contract in `resources/sample_contract.pdf`: the first of a seed that is not the set's

__all__ = ["PDF_SEED", "SAMPLE_COUNT", "SAMPLE_SEED", "generate", "write_cuad_layout"]
