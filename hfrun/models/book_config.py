"""What the configs of all book models share: the sizes of the data and the meaning of the logits.

levels, window and hand_features come from the data; the rest is chosen. Everything that is wrong
with a config is said in one message.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from transformers import PretrainedConfig

from hfrun.errors import ModelError

DOWN_FLAT_UP = {0: "down", 1: "flat", 2: "up"}

# Keys of a model's config that the data decide; a run's YAML cannot set them.
FROM_THE_DATA = ("levels", "window", "hand_features", "num_labels", "id2label")


class BookConfig(PretrainedConfig):
    """The base of the configs of models that read windows of a book.

    Args:
        levels: L, levels of the book on each side; a row of the input is 4 L wide.
        window: T, rows of the window the model is meant for; no parameter depends on it.
        dropout: probability of the model's dropout layers.
        skip: add a linear map of hand-made features to the logits.
        hand_features: K, how many of them there are; 0 without ``skip``.
        id2label: what each logit means; ``{0: "down", 1: "flat", 2: "up"}`` unless given.
        num_labels: C, where the classes have no names; else it follows from ``id2label``.
        minimum_window: rows that the model needs at least.
        sizes: whole numbers of the model's own config to check, each with the least it may be.
        choices: words of it to check, each with those that it may be.
        wrong: what else it found to be wrong.

    Raises:
        ModelError: names everything that is wrong.
    """

    kind: ClassVar[str] = "book model"

    def __init__(
        self,
        *,
        levels: int = 10,
        window: int = 100,
        dropout: float = 0.0,
        skip: bool = False,
        hand_features: int = 0,
        id2label: dict[int, str] | None = None,
        num_labels: int | None = None,
        minimum_window: int = 1,
        sizes: Mapping[str, tuple[int, int]] | None = None,
        choices: Mapping[str, tuple[str, Collection[str]]] | None = None,
        wrong: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        data = {
            "levels": (levels, 1),
            "window": (window, minimum_window),
            "hand_features": (hand_features, 0),
        }
        found = [
            *_wrong_sizes({**data, **(sizes or {})}),
            *_wrong_choices(choices or {}),
            *_wrong_dropout(dropout),
            *_wrong_skip(skip, hand_features),
            *wrong,
        ]
        if id2label is not None and num_labels not in (None, len(id2label)):
            found.append(f"num_labels={num_labels} beside {len(id2label)} names in id2label")
        if found:
            raise ModelError(
                f"a {self.kind} cannot have {', '.join(found)}; correct the model config"
            )
        self.levels = levels
        self.window = window
        self.dropout = dropout
        self.skip = skip
        self.hand_features = hand_features
        super().__init__(**{**kwargs, **_classes(id2label, num_labels)})


def _classes(id2label: dict[int, str] | None, num_labels: int | None) -> dict[str, Any]:
    """The names of the classes, with ``label2id`` derived so that the two can never disagree."""
    if id2label is None and num_labels not in (None, len(DOWN_FLAT_UP)):
        return {"num_labels": num_labels}
    named = {int(key): label for key, label in (id2label or DOWN_FLAT_UP).items()}
    return {"id2label": named, "label2id": {label: key for key, label in named.items()}}


def _wrong_sizes(sizes: Mapping[str, tuple[object, int]]) -> list[str]:
    return [
        f"{key}={got!r} (a whole number of at least {need})"
        for key, (got, need) in sizes.items()
        if not isinstance(got, int) or isinstance(got, bool) or got < need
    ]


def _wrong_choices(choices: Mapping[str, tuple[object, Collection[str]]]) -> list[str]:
    return [
        f"{key}={got!r} ({' or '.join(known)})"
        for key, (got, known) in choices.items()
        if not isinstance(got, str) or got not in known
    ]


def _wrong_dropout(dropout: object) -> list[str]:
    is_number = isinstance(dropout, int | float) and not isinstance(dropout, bool)
    if is_number and 0.0 <= dropout < 1.0:  # type: ignore[operator]
        return []
    return [f"dropout={dropout!r} (0 <= dropout < 1)"]


def _wrong_skip(skip: object, hand_features: object) -> list[str]:
    if not isinstance(skip, bool):
        return [f"skip={skip!r} (true or false)"]
    if skip != bool(hand_features):
        needed = "their number comes from the data, with skip and only with it"
        return [f"skip={skip} with hand_features={hand_features!r} ({needed})"]
    return []
