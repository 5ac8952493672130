"""Many hunts: side by side, in the order of the claims, and resumed where they are long."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

import distrl
from distrl._files import replacing
from proofs_check.case import Case
from proofs_check.claim import Claim, find
from proofs_check.search import DEFAULT, FULL, NIGHTLY, QUICK, Effort, Hunt, Result

EFFORTS = {effort.name: effort for effort in (QUICK, DEFAULT, NIGHTLY, FULL)}


def run(
    claims: Sequence[Claim],
    effort: Effort,
    *,
    jobs: int = 1,
    seed: int = 0,
    store: Path | None = None,
    done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """The results, one a claim, in their order; `done` hears of each as it comes.

    With `store` each is written there as it is finished, under a key of code, effort and seed, and a second start
    takes up what is there.
    """
    kept: dict[str, Result] = {}
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
        kept = {claim.id: result for claim in claims if (result := _stored(store, claim, effort, seed)) is not None}
    for result in kept.values():
        done(result)
    missing = [claim.id for claim in claims if claim.id not in kept]
    for data in _results(missing, effort, jobs, seed):
        result = from_json(data)
        if store is not None:
            with replacing(store / f"{result.claim.id}.json") as partial:
                partial.write_text(json.dumps({"key": _key(effort, seed), **data}), encoding="utf-8")
        kept[result.claim.id] = result
        done(result)
    return [kept[claim.id] for claim in claims]


def _results(ids: Sequence[str], effort: Effort, jobs: int, seed: int) -> Iterator[dict[str, Any]]:
    if jobs == 1:
        yield from (hunt(id, effort, seed) for id in ids)
    elif ids:
        yield from Parallel(n_jobs=jobs, return_as="generator")(delayed(hunt)(id, effort, seed) for id in ids)


def hunt(id: str, effort: Effort, seed: int) -> dict[str, Any]:
    """One hunt, its result as plain data: it crosses processes."""
    return to_json(Hunt(find(id), effort, seed).run())


def to_json(result: Result) -> dict[str, Any]:
    return {
        "id": result.claim.id,
        "verdict": result.verdict,
        "instances": result.instances,
        "ratio": result.ratio,
        "case": None if result.case is None else result.case.to_json(),
        "measured": result.measured,
        "bound": result.bound,
        "reason": result.reason,
        "seconds": result.seconds,
        "points": result.points,
    }


def from_json(data: dict[str, Any]) -> Result:
    case = None if data["case"] is None else Case.from_json(data["case"])
    names = ("verdict", "instances", "ratio", "measured", "bound", "reason", "seconds")
    points = [(float(m), float(b)) for m, b in data["points"]]
    return Result(find(data["id"]), case=case, points=points, **{name: data[name] for name in names})


def _stored(store: Path, claim: Claim, effort: Effort, seed: int) -> Result | None:
    path = store / f"{claim.id}.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return from_json(data) if data["key"] == _key(effort, seed) else None


def _key(effort: Effort, seed: int) -> str:
    digest = hashlib.sha256(f"{effort}{seed}".encode())
    for package in (Path(distrl.__file__).parent, Path(__file__).parent):
        for path in sorted(package.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
