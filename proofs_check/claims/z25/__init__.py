"""Claims on estimation: Zhang et al. 2025 (2309.17262), Azar et al. 2013, and the delta method written out here."""

TITLE = "Zhang et al. 2025: estimation"
PLACE = 7
SOURCE = "Zhang et al. 2025 (2309.17262)"
DERIVED = "derived: docs/proofs.md"
