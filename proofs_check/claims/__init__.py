"""The claims: one module or folder a paper, found by listing this one; see `proofs_check.claim.papers`.

A paper has a `TITLE` for the report and a `PLACE` in it, and the parts of a folder have places in it; what has none
comes last, by name. Modules whose names begin with an underscore hold no claims.
"""
