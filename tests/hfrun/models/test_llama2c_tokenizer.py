"""The tokenizer of a llama2.c checkpoint gives run.c's ids, for any text."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hfrun.errors import ModelError
from hfrun.models.llama2c_tokenizer import Piece, merges_of, read_llama2c_tokenizer
from tests.hfrun.models.llama_files import BYTES, VOCAB_SIZE, pieces, tokenizer_bytes


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    file = tmp_path_factory.mktemp("tokenizer") / "tok.bin"
    file.write_bytes(tokenizer_bytes(pieces()))
    return read_llama2c_tokenizer(file, vocab_size=VOCAB_SIZE, max_tokens=40)


def run_c(tokens: list[tuple[str, float]], text: str) -> list[int]:
    """run.c's way: one character at a time, then the pair whose joint token scores highest."""
    ids = {piece: number for number, (piece, _) in enumerate(tokens)}
    found = [1]
    for character in f" {text}" if text else "":
        raw = character.encode()
        found += [ids[character]] if character in ids else [3 + byte for byte in raw]
    while True:
        best, place = -1, -1
        for here, (left, right) in enumerate(pairwise(found)):
            joint = ids.get(tokens[left][0] + tokens[right][0], -1)
            if joint >= 0 and (best < 0 or tokens[joint][1] > tokens[best][1]):
                best, place = joint, here
        if best < 0:
            return found
        found[place : place + 2] = [best]


def test_the_ids_of_a_sentence_by_hand(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer.tokenize("the cat and\na dé", add_special_tokens=True)
    assert tokens == ["<s>", "▁the", "▁cat", "▁and", "<0x0A>", "a", "▁", "d", "é"]
    assert tokenizer("").input_ids == [1]
    assert tokenizer("日").input_ids == [1, 271, 3 + 0xE6, 3 + 0x97, 3 + 0xA5]


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=" thecadnrsb.é\n日xZ", max_size=40))
def test_ids_are_those_of_run_c(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer(text).input_ids == run_c(pieces(), text)


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="▁<", codec="utf-8"), max_size=30))
def test_a_text_comes_back_from_its_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_pairs_merge_in_the_order_of_the_scores_and_not_of_the_ids() -> None:
    special = [Piece(text=text, score=0.0) for text in ("<unk>", "<s>", "</s>", *BYTES)]
    made = [("abc", -2.0), ("ab", -7.0), ("bc", -1.0), ("a", -8.0), ("b", -8.0), ("c", -9.0)]
    found = merges_of(special + [Piece(text=text, score=score) for text, score in made])
    assert found == [("b", "c"), ("a", "bc"), ("ab", "c"), ("a", "b")]


def test_special_tokens_padding_and_length_are_set(tokenizer: PreTrainedTokenizerFast) -> None:
    assert (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    batch = tokenizer(["the cat", "a"], padding=True)
    assert batch.input_ids == [[1, 261, 264], [1, 266, 2]]
    assert batch.attention_mask == [[1, 1, 1], [1, 1, 0]]
    assert tokenizer.model_max_length == 40


def test_the_512_tokens_of_stories260k_are_those_of_its_published_form(
    lob_data_dir: Path, tmp_path: Path
) -> None:
    stories, texts = lob_data_dir / "models" / "stories260K", lob_data_dir / "data/text/sst5"
    if not (stories.is_dir() and texts.is_dir()):
        pytest.skip("stories260K or SST-5 is not in LOB_DATA_DIR")
    ours = read_llama2c_tokenizer(stories / "tok512.bin", vocab_size=512, max_tokens=512)
    ours.save_pretrained(tmp_path)
    ours = AutoTokenizer.from_pretrained(tmp_path)
    theirs = AutoTokenizer.from_pretrained(stories / "hf")
    assert ours.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    lines = [
        line.partition("|||")[2].strip()
        for part in ("train", "dev", "test")
        for line in (texts / f"sst-{part}.txt").read_text(encoding="utf-8").splitlines()
    ]
    assert len(lines) == 11_855
    assert ours(lines).input_ids == theirs(lines).input_ids


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tok.bin"
    file.write_bytes(tokenizer_bytes(pieces()))
    with pytest.raises(ModelError, match="has 284 tokens and the model 512"):
        read_llama2c_tokenizer(file, vocab_size=512, max_tokens=40)


def test_a_file_cut_off_between_or_within_tokens_is_refused(tmp_path: Path) -> None:
    file, whole = tmp_path / "tok.bin", tokenizer_bytes(pieces())
    for n_bytes in (0, 3, 5, 20, len(whole) - 1):
        file.write_bytes(whole[:n_bytes])
        with pytest.raises(ModelError, match=r"no tokenizer of llama2\.c, or is cut off"):
            read_llama2c_tokenizer(file, vocab_size=VOCAB_SIZE, max_tokens=40)
    file.write_bytes(whole[: -len("é".encode()) - 8])
    with pytest.raises(ModelError, match="has 283 tokens and the model 284"):
        read_llama2c_tokenizer(file, vocab_size=VOCAB_SIZE, max_tokens=40)


@pytest.mark.parametrize(
    ("place", "token"),
    [(1, "<bos>"), (100, "zz"), (270, "he")],
    ids=["no <s>", "a byte missing", "a token twice"],
)
def test_tokens_in_another_order_are_refused(place: int, token: str, tmp_path: Path) -> None:
    tokens = pieces()
    tokens[place] = (token, -1.0)
    (tmp_path / "tok.bin").write_bytes(tokenizer_bytes(tokens))
    with pytest.raises(ModelError, match="needs <unk>, <s>, </s>, the 256 bytes"):
        read_llama2c_tokenizer(tmp_path / "tok.bin", vocab_size=VOCAB_SIZE, max_tokens=40)


def test_other_files_and_scores_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tok.bin"
    with pytest.raises(ModelError, match=r"no file .*tok\.bin"):
        read_llama2c_tokenizer(file, vocab_size=VOCAB_SIZE, max_tokens=40)
    bad_score = tokenizer_bytes([*pieces()[:-1], ("é", float("nan"))])
    for raw in (b'{"version": "1.0", "truncation": null}', b"\xff" * 64, bad_score):
        file.write_bytes(raw)
        with pytest.raises(ModelError, match=r"no tokenizer of llama2\.c"):
            read_llama2c_tokenizer(file, vocab_size=VOCAB_SIZE, max_tokens=40)
