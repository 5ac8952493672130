"""Every claim has its expected verdict at the quick size; each is a test of its own."""

import pathlib
import re

import pytest

from proofs_check.claim import CASES, claims
from proofs_check.search import KEPT, QUICK, Hunt

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.id)
def test_claim_has_its_expected_verdict(claim):
    result = Hunt(claim, QUICK).run()
    assert result.as_expected, f"{result.verdict}: {result.case} {result.reason}"
    assert not result.short, f"the search reached {result.ratio:.4g}, {claim.attained:g} is attained"
    if claim.expected == "refuted":
        assert result.measured != result.bound and result.case is not None


def test_there_are_many_claims_and_refutations():
    assert len(claims()) >= 60
    assert sum(claim.expected == "refuted" for claim in claims()) >= 12


def test_every_claim_is_complete():
    for claim in claims():
        assert claim.expected in ("holds", "refuted")
        assert all((claim.statement, claim.latex, claim.source, claim.measured, claim.bound, claim.searched, claim.why))
        assert claim.evidence in ("read", "summary", "derived", "numerical", "recalled")
        assert re.fullmatch(r"[a-z0-9_-]+", claim.id)
        if claim.statistical:
            assert claim.family is None and len(claim.structured()) <= CASES


def test_ids_that_the_library_cites_exist():
    known = {claim.id for claim in claims()}
    cited = set()
    for path in [*(ROOT / "distrl").rglob("*.py"), *(ROOT / "docs").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        cited |= set(re.findall(r"[Cc]laims?:? `([a-z0-9-]+)`", text))
        cited |= set(re.findall(r"claim ?= ?\"([a-z0-9-]+)\"", text))
    assert {"certificate-martingale-coupling", "brackets-convex", "monte-carlo-dkw"} <= cited
    assert cited <= known, cited - known


def test_kept_instances_belong_to_claims():
    known = {claim.id for claim in claims()}
    assert {path.stem for path in KEPT.glob("*.json")} <= known
