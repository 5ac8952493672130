"""This library's own results; proofs in docs/certificate.md, docs/brackets.md, docs/quantiles.md and docs/proofs.md."""

TITLE = "Results of this library"
PLACE = 10
