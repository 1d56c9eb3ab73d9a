"""What a study's trials tell: the answer to its question, how sure it is, and what to do next."""

from typing import Any

import numpy as np

from hfrun.study.analysis.axis import axes_of, axis_plots, parallel
from hfrun.study.analysis.best_of_n import best_of_n
from hfrun.study.analysis.boundary import boundaries
from hfrun.study.analysis.courses import courses
from hfrun.study.analysis.findings import answer_of, findings_of
from hfrun.study.analysis.importance import importance
from hfrun.study.analysis.isolation import cells_of, isolation_plots
from hfrun.study.analysis.standing import best_of, cost, counts, finalists, not_run, table
from hfrun.study.study_data import StudyData, plain


def analyse(data: StudyData, *, seed: int = 0) -> dict[str, Any]:
    """Everything that a study's report shows, ready for JSON.

    The same for trials in any order, and mirrored where less is better. Short trials alone are
    compared with each other; the finalists, which were trained for longer, have their own part.

    Args:
        data: the study, finished or not.
        seed: of the bootstrap, the shuffling and the forest.
    """
    axes = axes_of(data)
    rng = np.random.default_rng(seed)
    isolation = isolation_plots(data, axes, rng)
    found: dict[str, Any] = {
        "name": data.name,
        "question": data.question,
        "metric": data.metric,
        "higher_is_better": data.higher_is_better,
        "scientific": dict(data.scientific),
        "nuisance": {key: dict(held) for key, held in data.nuisance.items()},
        "fixed": dict(data.fixed),
        "budget": dict(data.budget),
        "counts": counts(data),
        "cost": cost(data),
        "best": best_of(data, axes),
        "finalists": finalists(data, axes),
        "isolation": isolation,
        "axes": axis_plots(data, axes),
        "boundary": boundaries(data, axes, isolation),
        "curves": courses(data, axes),
        "best_of_n": best_of_n(data, cells_of(axes), rng),
        "importance": importance(data, axes, seed=seed),
        "parallel": parallel(data, axes),
        "table": table(data, axes),
        "not_run": not_run(data),
    }
    found["answer"] = answer_of(found)
    found["findings"] = findings_of(found)
    plained: dict[str, Any] = plain(found)
    return plained
