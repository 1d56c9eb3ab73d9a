"""Train one config, whatever it is over: an order book or texts."""

from hfrun.config import HfrunConfig, TextRunConfig
from hfrun.models.model_folder import let_bars_pass
from hfrun.summary import Summary
from hfrun.text_run import run_text_training
from hfrun.walk_forward import run_training


def run_any(config: HfrunConfig | TextRunConfig) -> Summary | None:
    """A whole training into ``run.output_dir``, resumed where it stopped; judged at its end.

    Returns:
        None on all but the main process.
    """
    let_bars_pass()
    if isinstance(config, TextRunConfig):
        return run_text_training(config)
    return run_training(config)
