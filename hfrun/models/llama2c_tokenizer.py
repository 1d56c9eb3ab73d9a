"""The tokenizer of a llama2.c checkpoint (``tokN.bin``): sentencepiece's BPE in transformers.

References: https://github.com/karpathy/llama2.c, tokenizer.py and run.c, for the file and the ids;
Kudo and Richardson (2018), SentencePiece, EMNLP.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from hfrun.errors import ModelError

UNK_ID, BOS_ID, EOS_ID = 0, 1, 2
_SPECIAL = ("<unk>", "<s>", "</s>")
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))  # run.c takes byte b for token 3 + b
_SPACE = "▁"  # how sentencepiece and transformers write a space; the file has a plain one


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A token's text, and its score: of two pairs that could merge, the higher score is taken."""

    text: str
    score: float


def read_llama2c_tokenizer(
    file: Path, *, vocab_size: int, max_tokens: int
) -> PreTrainedTokenizerFast:
    """A tokenizer that gives run.c's ids: a leading space and ``<s>`` are put before a text.

    Characters without a token become the tokens of their UTF-8 bytes. Padding is ``</s>``, which
    the model's mask hides.

    Args:
        file: ``tokN.bin``.
        vocab_size: tokens of the model; the file has as many.
        max_tokens: longest text of the model, in tokens.

    Raises:
        ModelError: the file is missing, cut off, of another format or of another vocabulary.
    """
    pieces = read_pieces(file)
    if len(pieces) != vocab_size:
        raise ModelError(
            f"{file} has {len(pieces)} tokens and the model {vocab_size}; name the tokenizer that "
            "was exported with the model"
        )
    texts = [piece.text for piece in pieces]
    if tuple(texts[: len(_SPECIAL + _BYTES)]) != _SPECIAL + _BYTES or len(set(texts)) != len(texts):
        raise ModelError(
            f"{file} is no tokenizer of llama2.c: needs <unk>, <s>, </s>, the 256 bytes and then "
            "each token once; export it with llama2.c's tokenizer.py"
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=_backend(pieces),
        unk_token=_SPECIAL[UNK_ID],
        bos_token=_SPECIAL[BOS_ID],
        eos_token=_SPECIAL[EOS_ID],
        pad_token=_SPECIAL[EOS_ID],
        clean_up_tokenization_spaces=False,
        model_max_length=max_tokens,
    )


def read_pieces(file: Path) -> list[Piece]:
    """Every token of a ``tokN.bin``, in order of the ids.

    The file is the longest token's bytes as int32, then for each token its score as float32, its
    bytes' number as int32, and the bytes.

    Raises:
        ModelError: the file is missing or does not read so to its last byte.
    """
    if not file.is_file():
        raise ModelError(f"no file {file}; name the tokN.bin that belongs to the checkpoint")
    held = file.read_bytes()
    pieces: list[Piece] = []
    try:
        (longest,) = struct.unpack_from("<i", held)
        place = 4
        while place < len(held):
            score, length = struct.unpack_from("<fi", held, place)
            place += 8 + length
            if not 0 < length <= longest or place > len(held) or not math.isfinite(score):
                raise ValueError(f"token {len(pieces)} has {length} bytes and a score of {score:g}")
            pieces.append(Piece(text=_text(held[place - length : place]), score=score))
    except (struct.error, ValueError) as error:  # also bytes that are no UTF-8
        raise ModelError(
            f"{file} is no tokenizer of llama2.c, or is cut off ({error}); fetch or export it again"
        ) from error
    return pieces


def _text(raw: bytes) -> str:
    """The piece as transformers writes it; the file puts line ends around ``<s>`` and ``</s>``."""
    text = raw.decode("utf-8")
    named = text.strip("\n")
    return named if named in _SPECIAL else text.replace(" ", _SPACE)


def merges_of(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Every pair of tokens that makes a third, the highest score first.

    Sentencepiece merges, of all neighbours whose joint text is a token, those of the highest
    score; transformers goes by a written order of pairs, which is this one.
    """
    known = {piece.text for piece in pieces}
    made = sorted(pieces[len(_SPECIAL) + len(_BYTES) :], key=lambda piece: -piece.score)
    cuts = (
        (piece.text[:place], piece.text[place:])
        for piece in made
        for place in range(1, len(piece.text))
    )
    return [(left, right) for left, right in cuts if left in known and right in known]


def _backend(pieces: list[Piece]) -> Tokenizer:
    vocabulary = {piece.text: number for number, piece in enumerate(pieces)}
    unk, bos, _ = _SPECIAL
    model = BPE(
        vocab=vocabulary, merges=merges_of(pieces), unk_token=unk, fuse_unk=True, byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, BOS_ID)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(_SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),  # the space that was put before the text
        ]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in _SPECIAL])
    return tokenizer
