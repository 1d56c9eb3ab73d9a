"""How the files of a repository are loaded, in lines to paste."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from hfrun.hub.refusals import RefusalError
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository
from hfrun.hub.store.tree import Tree

# Registered by hfrun.models; the Auto classes know all others by themselves.
OWN_MODEL_TYPES = frozenset({"bilstm", "deeplob", "linear", "llama_classifier", "mlp"})
_CONFIG_MAX_BYTES = 1_000_000


def environment_lines(endpoint: str) -> str:
    """What the clients of this hub need to know, for a shell."""
    return f"export HF_ENDPOINT={shlex.quote(endpoint)}\nexport HF_HOME=~/hub-cache"


def loading_lines(
    repository: Repository, tree: Tree, *, revision: str, may_read: bool = True
) -> str:
    """Python that loads a repository at a revision.

    Args:
        revision: a branch, a tag or a commit's id.
        may_read: whether the files may be looked into to find out what they are.
    """
    repo_id = repository.settings.repo_id
    pinned = "" if revision == DEFAULT_BRANCH else f", revision={revision!r}"
    if repo_id.kind == "datasets":
        return f'from datasets import load_dataset\n\ndata = load_dataset("{repo_id}"{pinned})'
    if repo_id.kind == "models" and "config.json" in tree and may_read:
        return _model_lines(_model_config(repository, tree), f'"{repo_id}"{pinned}')
    if repo_id.kind == "spaces" and f"{repo_id.name}.py" in tree:
        return f'import evaluate\n\nmetric = evaluate.load("{repo_id}"{pinned})'
    repo_type = "" if repo_id.kind == "models" else f', repo_type="{repo_id.kind[:-1]}"'
    return (
        "from huggingface_hub import snapshot_download\n\n"
        f'folder = snapshot_download("{repo_id}"{repo_type}{pinned})'
    )


def _model_lines(config: Mapping[str, Any], arguments: str) -> str:
    architectures = config.get("architectures")
    named = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    own = str(config.get("model_type")) in OWN_MODEL_TYPES
    classifies = own or named.endswith("ForSequenceClassification")
    auto = "AutoModelForSequenceClassification" if classifies else "AutoModel"
    first = "import hfrun.models  # registers the model with the Auto classes\n" if own else ""
    return f"{first}from transformers import {auto}\n\nmodel = {auto}.from_pretrained({arguments})"


def _model_config(repository: Repository, tree: Tree) -> Mapping[str, Any]:
    entry = tree["config.json"]
    if entry.size > _CONFIG_MAX_BYTES:
        return {}
    try:
        config = json.loads(repository.content(entry).read_bytes())
    except (ValueError, RecursionError, OSError, RefusalError):
        return {}
    return config if isinstance(config, dict) else {}
