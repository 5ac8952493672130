"""What every reader of text files that people write keeps; the tests of each reader inherit it and call it."""

import gzip
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tests.damage import refusals
from tests.outside_models import assert_same_model


def writer(name: str) -> Any:
    """The fixture `put`: it writes text into a file of that name and gives the path."""

    @pytest.fixture
    def put(tmp_path):
        def write(text):
            path = tmp_path / name
            path.write_text(text, encoding="utf-8")
            return path

        return write

    return put


def assert_line_is_named(read: Callable, put: Callable, text: str, old: str, new: str, sentence: str) -> None:
    """With `new` in the place of `old` the text is refused in words that begin with the file and hold the sentence."""
    assert old in text
    path = put(text.replace(old, new))
    with pytest.raises(ValueError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and sentence in str(caught.value)


class TextFileLaws:
    """Laws of a reader; a test class that inherits them says what it reads."""

    read: ClassVar[Callable]
    name: ClassVar[str]  # of a file
    text: ClassVar[str]  # a good one, whose discount is not .5
    discount: ClassVar[str]  # its line about the discount

    def test_a_compressed_file_a_mark_of_byte_order_and_ends_of_lines_are_no_matter(self, tmp_path):
        plain, packed = tmp_path / self.name, tmp_path / f"{self.name}.gz"
        plain.write_text(self.text, encoding="utf-8")
        packed.write_bytes(gzip.compress("\ufeff".encode() + self.text.replace("\n", "\r\n").encode()))
        assert_same_model(self.read(plain), self.read(packed))

    def test_a_discount_may_be_given_instead_of_the_files(self, tmp_path):
        path = tmp_path / self.name
        for text in (self.text, self.text.replace(self.discount, "")):
            path.write_text(text, encoding="utf-8")
            assert self.read(path, discount=0.5).discount == self.read(path, 0.5).discount == 0.5
        with pytest.raises(ValueError, match=r"discount.*; give discount="):
            self.read(path)

    def test_damaged_files_are_refused_in_a_sentence_that_names_the_line(self, tmp_path):
        assert refusals(self.read, self.text, tmp_path / f"damaged-{self.name}") > 150

    @pytest.mark.parametrize("wrap", [lambda _: None, lambda _: 3, str.encode, lambda name: [name]])
    def test_a_path_is_a_path(self, wrap):
        with pytest.raises(TypeError, match="path must be"):
            self.read(wrap(self.name))

    def test_a_file_that_is_not_there_is_named(self, tmp_path):
        for path in (tmp_path / "none", tmp_path, "a\0b", ""):
            with pytest.raises(ValueError, match="none|" + tmp_path.name + r"|a\\x00b|must name a file"):
                self.read(path)
