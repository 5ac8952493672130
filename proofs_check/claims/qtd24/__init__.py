"""Claims around Rowland et al. 2024, *An Analysis of Quantile Temporal-Difference Learning* (JMLR 25)."""

TITLE = "Rowland et al. 2024 (QTD): quantile programming and learning"
PLACE = 4
SOURCE = "Rowland et al. 2024 (2301.04462)"
DERIVED = "derived: docs/quantiles.md and docs/proofs.md"
