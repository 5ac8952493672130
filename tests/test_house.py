"""What keeps the house easy to extend, counted in its source; `python tests/house.py` shows every place."""

import pathlib

import pytest

from tests import house

pytestmark = pytest.mark.fast

#: Private names of other libraries that nothing public replaces.
FOREIGN = ("dist.", "_dist", "dispatcher.", "ir.Loc", "frozen.")


def told(places: list[house.Place]) -> str:
    return "\n".join(map(str, places))


def test_no_public_signature_says_any():
    places = house.any_in_signatures()
    assert not places, told(places)


def test_representations_are_asked_and_not_sorted():
    places = house.isinstance_of_representations()
    assert len(places) < 5, told(places)


def test_objects_leave_each_others_private_parts_alone():
    places = [place for place in house.private_accesses() if not any(name in place.what for name in FOREIGN)]
    assert len(places) < 10, told(places)


def test_nothing_is_made_behind_its_constructor():
    assert not house.back_doors(), told(house.back_doors())


def test_files_are_short():
    assert not house.long_files(), told(house.long_files())


def test_the_counts_count(tmp_path: pathlib.Path):
    folder = tmp_path / "distrl"
    folder.mkdir()
    (folder / "one.py").write_text(
        "from typing import Any\n"
        "def public(a: Any, *, b: 'int | None') -> list[Any]: ...\n"
        "def _private(a: Any) -> Any: ...\n"
        "class Public:\n"
        "    def method(self, other: object) -> None:\n"
        "        other._secret\n"
        "        self._own = isinstance(other, (int, CategoricalReturns))\n"
        "        other._own\n"
        "        object.__new__(Public)\n",
        encoding="utf-8",
    )
    assert [place.what for place in house.any_in_signatures(tmp_path)] == ["public: a", "public: the result"]
    assert [place.line for place in house.private_accesses(tmp_path)] == [6]
    assert [place.line for place in house.isinstance_of_representations(tmp_path)] == [7]
    assert [place.line for place in house.back_doors(tmp_path)] == [9]
    assert [place.file for place in house.long_files(tmp_path, most=9)] == ["one.py"]
