"""What the small files beside a model's weights say of it, in the words of a repository's info."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from cachetools import LRUCache

from hfrun.hub.descriptions.plain_json import plain_object
from hfrun.hub.descriptions.weights import INDEX, WEIGHTS, header, header_bytes, parameters, shards
from hfrun.hub.refusals import BadRequestError, EntryNotFoundError, RefusalError, TooLargeError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Entry, Tree

_JSON_MAX_BYTES = 1_000_000
_INDEX_MAX_BYTES = 4_000_000
_MAX_SHARDS = 200
_HEADERS_MAX_BYTES = 8_000_000
_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "mask_token", "sep_token")
_CONFIG_TYPES = {"model_type": str, "auto_map": dict, "quantization_config": dict}

# Ending of an architecture's name: the Auto class that loads it, and its task.
_HEADS = {
    "ForSequenceClassification": ("AutoModelForSequenceClassification", "text-classification"),
    "ForTokenClassification": ("AutoModelForTokenClassification", "token-classification"),
    "ForQuestionAnswering": ("AutoModelForQuestionAnswering", "question-answering"),
    "ForCausalLM": ("AutoModelForCausalLM", "text-generation"),
    "LMHeadModel": ("AutoModelForCausalLM", "text-generation"),
    "ForMaskedLM": ("AutoModelForMaskedLM", "fill-mask"),
    "ForImageClassification": ("AutoModelForImageClassification", "image-classification"),
    "ForAudioClassification": ("AutoModelForAudioClassification", "audio-classification"),
    "Model": ("AutoModel", "feature-extraction"),
}
_PROCESSORS = {
    "AutoTokenizer": ("tokenizer_config.json", "tokenizer.json", "vocab.txt", "tokenizer.model"),
    "AutoProcessor": ("processor_config.json",),
    "AutoFeatureExtractor": ("preprocessor_config.json",),
}

# By the SHA-256 of the file. Bytes of the values as text: a few megabytes in all.
_CACHED_CHARACTERS = 4_000_000
_known: LRUCache[tuple[str, str], Any] = LRUCache(
    _CACHED_CHARACTERS, getsizeof=lambda value: len(repr(value)) + 200
)
_lock = threading.Lock()
_T = TypeVar("_T")


def read_once(
    repository: Repository, entry: Entry, what: str, read: Callable[[Path], _T], default: _T
) -> _T:
    """What ``read`` makes of a file's path, kept by the file's content; ``default`` where it fails.

    A file that is missing, broken or lost describes nothing, and spoils no listing.

    Args:
        what: the kind of reading, for one file may be read in several ways.
    """
    key = (what, entry.sha256)
    try:
        file = repository.content(entry)  # a removed file is refused, though it was read before
        with _lock:
            if key in _known:
                return cast(_T, _known[key])
        value = read(file)
    except (FileNotFoundError, RefusalError):  # it may come back
        return default
    except (ValueError, RecursionError):
        value = default
    with _lock:
        if _known.getsizeof(value) < _CACHED_CHARACTERS:
            _known[key] = value
    return value


def config_summary(repository: Repository, tree: Tree) -> dict[str, Any]:
    """The few fields of config.json, tokenizer_config.json and adapter_config.json that tell."""

    def summary(path: str, read: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        entry = tree.get(path)
        if entry is None or entry.size > _JSON_MAX_BYTES:
            return {}
        return read_once(
            repository, entry, path, lambda file: read(plain_object(file.read_bytes())), {}
        )

    found = summary("config.json", _model_fields)
    found |= summary("tokenizer_config.json", _tokenizer_fields)
    return found | summary("adapter_config.json", _adapter_fields)


def _model_fields(config: dict[str, Any]) -> dict[str, Any]:
    found = {k: config[k] for k, kind in _CONFIG_TYPES.items() if isinstance(config.get(k), kind)}
    architectures = config.get("architectures")
    if isinstance(architectures, list) and all(isinstance(a, str) for a in architectures):
        found["architectures"] = architectures
    return found


def _tokenizer_fields(config: dict[str, Any]) -> dict[str, Any]:
    special = {key: config[key] for key in _SPECIAL_TOKENS if config.get(key) is not None}
    return {"tokenizer_config": special} if special else {}


def _adapter_fields(config: dict[str, Any]) -> dict[str, Any]:
    keys = ("base_model_name_or_path", "task_type")
    return {"peft": {k: config[k] for k in keys if isinstance(config.get(k), str)}}


def library_name(config: Mapping[str, Any]) -> str | None:
    """The library that a model's files are made for, where its card does not say."""
    if "peft" in config:
        return "peft"
    return "transformers" if config.keys() & {"architectures", "model_type"} else None


def transformers_info(config: Mapping[str, Any], tree: Tree) -> dict[str, Any] | None:
    """Which Auto classes load a model, and its task where its processor is of the same kind.

    Args:
        config: a ``config_summary``.
    """
    architectures = config.get("architectures") or [""]
    name = architectures[0]
    head = next((_HEADS[end] for end in _HEADS if name.endswith(end)), None)
    if head is None:
        return None
    auto_model, task = head
    info = {"auto_model": auto_model}
    if "auto_map" in config:
        info["custom_class"] = name
    processor = next((p for p, files in _PROCESSORS.items() if any(f in tree for f in files)), None)
    if processor is not None:
        info["processor"] = processor
    # A classifier of sequences without a tokenizer does not classify texts.
    if processor is not None and (processor == "AutoTokenizer") == _is_of_text(task):
        info["pipeline_tag"] = task
    return info


def weights_summary(repository: Repository, tree: Tree) -> dict[str, Any] | None:
    """``{"parameters": {type: how many}, "total": how many}``, from the headers of the weights."""
    names = [WEIGHTS] if WEIGHTS in tree else shard_names(repository, tree)
    counts: dict[str, int] = {}
    for name in names:
        entry = tree.get(name)
        found = None if entry is None else _parameters_of(repository, entry)
        if found is None:
            return None
        for kind, n in found.items():
            counts[kind] = counts.get(kind, 0) + n
    return {"parameters": counts, "total": sum(counts.values())} if names else None


def _parameters_of(repository: Repository, entry: Entry) -> dict[str, int] | None:
    def read(file: Path) -> dict[str, int] | None:
        return dict(parameters(header(file), file_bytes=entry.size))

    return read_once(repository, entry, "weights", read, None)


def sharded_headers(repository: Repository, commit: Commit, index: str) -> dict[str, Any]:
    """What is in all files of sharded weights: the index's own metadata and every file's header.

    Args:
        index: path of the index, e.g. ``model.safetensors.index.json``.

    Raises:
        EntryNotFoundError: no such index, or one of files that are not there.
        TooLargeError: the headers together are too long for one answer.
    """
    tree = repository.tree(commit)
    names = shard_names(repository, tree, index)
    if not names:
        raise EntryNotFoundError(f"{index} is no index of weights on {commit.id}", commit=commit.id)
    headers, left = {}, _HEADERS_MAX_BYTES
    for name in names:
        path = f"{index.rpartition('/')[0]}/{name}".lstrip("/")
        if path not in tree:
            raise EntryNotFoundError(f"{path} does not exist on {commit.id}", commit=commit.id)
        file = repository.content(tree[path])
        try:
            left -= header_bytes(file)
            if left < 0:
                raise TooLargeError("The headers of these files are too long; read them one by one")
            headers[name] = header(file)
        except ValueError as error:
            raise BadRequestError(f"{path} is no safetensors file: {error}") from None
    metadata = plain_object(repository.content(tree[index]).read_bytes()).get("metadata")
    return {"index": {"metadata": metadata}, "headers": headers}


def shard_names(repository: Repository, tree: Tree, index: str = INDEX) -> list[str]:
    """Files that an index lists; empty where there is no index, a broken one or a huge one."""
    entry = tree.get(index)
    if entry is None or entry.size > _INDEX_MAX_BYTES:
        return []

    def read(file: Path) -> list[str]:
        return shards(plain_object(file.read_bytes()))

    none: list[str] = []
    names = read_once(repository, entry, "shards", read, none)
    return names if len(names) <= _MAX_SHARDS else []


def _is_of_text(task: str) -> bool:
    return not task.startswith(("image", "audio"))
