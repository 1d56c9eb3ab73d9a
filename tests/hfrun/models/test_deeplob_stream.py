"""DeepLobStream: the plain forward pass on the last T rows, one row at a time."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from hfrun.errors import ModelError
from hfrun.models import DeepLobForSequenceClassification, deeplob_stream
from hfrun.models import deeplob_stream_kernels as kernels
from hfrun.models.class_order import class_columns
from hfrun.models.deeplob_stream import DeepLobStream
from hfrun.models.published import import_deeplob_published
from lob_backtest.io.lobster import read_lobster
from lob_backtest.normalize import fit_normalizer
from tests.hfrun.lived_in import lived_in_model

Floats = npt.NDArray[np.float32]
NO_MULTIPLES_OF_FOUR = {"conv_channels": 3, "inception_channels": 5, "lstm_hidden": 7}


def random_rows(n: int, model: DeepLobForSequenceClassification) -> Floats:
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 4 * model.config.levels)).astype(np.float32)


def plain_answers(model: DeepLobForSequenceClassification, rows: Floats, window: int) -> Floats:
    """``(N - T + 1, 3)``: the forward pass on every window, as the definition."""
    windows = np.lib.stride_tricks.sliding_window_view(rows, window, axis=0).transpose(0, 2, 1)
    with torch.inference_mode():
        logits = model(torch.from_numpy(windows.copy())).logits
    return torch.softmax(logits, dim=1).numpy()


def pushed(stream: DeepLobStream, rows: Floats) -> list[Floats | None]:
    return [stream.push(row) for row in rows]


def assert_equal_to_the_plain_pass(model: DeepLobForSequenceClassification, n_windows: int) -> None:
    window = model.config.window
    rows = random_rows(window - 1 + n_windows, model)
    answers = pushed(DeepLobStream(model), rows)
    assert answers[: window - 1] == [None] * (window - 1)
    expected = plain_answers(model, rows, window)
    assert np.ptp(expected, axis=0).max() > 1e-3  # a constant answer would prove little
    np.testing.assert_allclose(np.stack(answers[window - 1 :]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", [*range(19, 28), 37])
@pytest.mark.parametrize("levels", [1, 5, 20])
def test_every_window_has_the_answer_of_the_plain_forward_pass(levels: int, window: int) -> None:
    # 19 to 22 rows leave 1 to 4 hidden ones, where both edges of the inception meet
    assert_equal_to_the_plain_pass(lived_in_model(levels=levels, window=window), 12)


@pytest.mark.parametrize("sizes", [NO_MULTIPLES_OF_FOUR, {"leaky_slope": 0.3}, {"dropout": 0.5}])
def test_channels_slope_and_dropout_may_be_any(sizes: dict[str, object]) -> None:
    assert_equal_to_the_plain_pass(lived_in_model(window=26, **sizes), 12)


def test_the_published_sizes_and_window_have_the_plain_answers_over_two_windows_of_rows() -> None:
    sizes = {"conv_channels": 32, "inception_channels": 64, "lstm_hidden": 64}
    assert_equal_to_the_plain_pass(lived_in_model(levels=10, window=100, **sizes), 201)


def test_the_window_may_differ_from_the_models_own() -> None:
    model = lived_in_model(window=100)
    rows = random_rows(40, model)
    answers = DeepLobStream(model, window=23).push_many(rows)
    np.testing.assert_allclose(answers[22:], plain_answers(model, rows, 23), rtol=0, atol=1e-5)


def test_batch_norms_that_magnify_small_activations_keep_the_plain_answers() -> None:
    # tanh near 0 with a variance to match: an absolute error of 1e-7 would come out 1e4 times
    model = lived_in_model(window=24)
    with torch.no_grad():
        for unit in model.sides:
            unit[0].weight.mul_(1e-3)
            unit[0].bias.zero_()
            unit[2].running_mean.zero_()
            unit[2].running_var.fill_(1e-8)
            unit[2].eps = 1e-9
    rows = random_rows(60, model)
    exact = plain_answers(model.double(), rows.astype(np.float64), 24)
    ours = DeepLobStream(model.float()).push_many(rows)[23:]
    theirs = plain_answers(model, rows, 24)
    assert np.abs(ours - exact).max() < max(1e-5, 3 * np.abs(theirs - exact).max())


def test_large_inputs_saturate_as_they_do_in_the_plain_pass() -> None:
    model = lived_in_model(window=22)
    rows = 1e6 * random_rows(60, model)
    answers = DeepLobStream(model).push_many(rows)[21:]
    np.testing.assert_allclose(answers, plain_answers(model, rows, 22), rtol=0, atol=1e-5)


def test_many_rows_at_once_have_the_bits_of_row_by_row_wherever_they_are_cut() -> None:
    model = lived_in_model(window=24)
    rows = random_rows(90, model)
    one_by_one = pushed(DeepLobStream(model), rows)
    stream = DeepLobStream(model)
    parts = [stream.push_many(part) for part in np.split(rows, [0, 1, 20, 23, 24, 60])]
    answers = np.concatenate(parts)
    assert np.isnan(answers[:23]).all()
    assert answers[23:].tolist() == [answer.tolist() for answer in one_by_one[23:]]
    assert stream.n_rows == 90


def test_nothing_from_before_a_reset_is_left() -> None:
    model = lived_in_model(window=25)
    rows = random_rows(60, model)
    stream = DeepLobStream(model)
    stream.push_many(1e3 * random_rows(77, model))
    stream.reset()
    again, fresh = stream.push_many(rows), DeepLobStream(model).push_many(rows)
    assert again[24:].tolist() == fresh[24:].tolist()
    assert np.isnan(again[:24]).all()


def test_rows_older_than_the_window_do_not_matter() -> None:
    model = lived_in_model(window=25)
    rows = random_rows(300, model)
    long, short = (DeepLobStream(model).push_many(part)[-1] for part in (rows, rows[-25:]))
    np.testing.assert_allclose(long, short, rtol=0, atol=1e-6)


def test_an_answer_is_not_overwritten_by_the_next() -> None:
    stream = DeepLobStream(lived_in_model())
    answers = pushed(stream, random_rows(30, lived_in_model()))
    kept = answers[20].copy()
    pushed(stream, 5 * random_rows(10, lived_in_model()))
    assert answers[20].tolist() == kept.tolist()
    assert (answers[20].dtype, answers[20].shape) == (np.float32, (3,))


def test_answers_are_in_the_order_down_flat_up_whatever_the_models_columns_mean() -> None:
    model = lived_in_model()
    rows = random_rows(40, model)
    straight = DeepLobStream(model).push_many(rows)
    model.config.id2label = {0: "up", 1: "down", 2: "stationary"}
    turned = DeepLobStream(model).push_many(rows)
    np.testing.assert_allclose(turned[19:], straight[19:, [1, 2, 0]], rtol=0, atol=1e-6)


def test_the_stream_keeps_the_weights_it_was_made_with_and_leaves_the_model_alone() -> None:
    model = lived_in_model().train()
    before = pickle.dumps(model.state_dict())
    stream, rows = DeepLobStream(model), random_rows(50, lived_in_model())
    first = stream.push_many(rows)
    assert pickle.dumps(model.state_dict()) == before
    assert model.training
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    stream.reset()
    assert stream.push_many(rows)[19:].tolist() == first[19:].tolist()


def test_a_model_of_half_precision_is_streamed_in_single() -> None:
    model = lived_in_model().bfloat16()
    rows = random_rows(30, model)
    answers = DeepLobStream(model).push_many(rows)[19:]
    expected = plain_answers(model.float(), rows, 20)
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("figure", [np.nan, np.inf, -np.inf])
def test_a_figure_that_is_not_finite_is_refused_and_leaves_the_stream_as_it_was(
    figure: float,
) -> None:
    model = lived_in_model()
    rows = random_rows(41, model)
    broken = rows[25].copy()
    broken[6] = figure
    stream = DeepLobStream(model)
    stream.push_many(rows[:25])
    with pytest.raises(ModelError, match=rf"row 25 since the last reset has {figure} in column 6"):
        stream.push(broken)
    with pytest.raises(ModelError, match="row 30 since the last reset"):
        stream.push_many(np.concatenate([rows[25:30], broken[None], rows[30:]]))
    rest = stream.push_many(rows[30:])
    assert rest.tolist() == DeepLobStream(model).push_many(rows)[30:].tolist()


@pytest.mark.parametrize("shape", [(7,), (9,), (1, 8)])
def test_a_row_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    stream = DeepLobStream(lived_in_model())
    with pytest.raises(ModelError, match=r"needs \(8,\): ask price") as refusal:
        stream.push(np.zeros(shape, dtype=np.float32))
    assert str(shape) in str(refusal.value)
    with pytest.raises(ModelError, match=r"needs \(N, 8\)"):
        stream.push_many(np.zeros((3, 7), dtype=np.float32))
    assert stream.n_rows == 0


def test_no_rows_are_no_answers() -> None:
    stream = DeepLobStream(lived_in_model())
    assert stream.push_many(np.zeros((0, 8), dtype=np.float32)).shape == (0, 3)


def test_rows_of_any_kind_of_number_and_layout_are_taken() -> None:
    model = lived_in_model()
    rows = np.round(random_rows(30, model) * 3)
    expected = DeepLobStream(model).push_many(rows)[19:].tolist()
    for given in (rows.astype(np.int64), rows.astype(np.float64), np.asfortranarray(rows)):
        answers = pushed(DeepLobStream(model), given)[19:]
        assert [answer.tolist() for answer in answers] == expected


def test_no_rows_and_no_model_make_the_kernels_compile_anew(tmp_path: Path) -> None:
    # it would take seconds in the middle of a session
    np.save(tmp_path / "rows.npy", random_rows(50, lived_in_model()))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    frozen = np.array(mapped)
    frozen.flags.writeable = False
    shifted = np.frombuffer(b"." + mapped.tobytes(), dtype=np.float32, offset=1).reshape(50, 8)
    for sizes in ({}, {"levels": 1}, NO_MULTIPLES_OF_FOUR, {"window": 19}, {"lstm_hidden": 1}):
        model = lived_in_model(**sizes)
        DeepLobStream(model).push_many(random_rows(30, model))
    expected = DeepLobStream(lived_in_model()).push_many(np.array(mapped))
    for rows in (mapped, frozen, shifted, np.asfortranarray(mapped)):
        stream = DeepLobStream(lived_in_model())
        np.testing.assert_array_equal(stream.push_many(rows), expected)
        stream.push(rows[0])
    assert len(kernels.push_rows.signatures) == 1  # type: ignore[attr-defined]


def test_more_rows_than_are_copied_at_once_are_answered_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = lived_in_model()
    rows = random_rows(100, model)
    expected = DeepLobStream(model).push_many(rows)
    monkeypatch.setattr(deeplob_stream, "_ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(DeepLobStream(model).push_many(rows), expected)


def test_models_that_a_stream_cannot_hold_are_refused() -> None:
    other = BertForSequenceClassification(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    )
    with pytest.raises(
        ModelError, match=r"got a BertForSequenceClassification; .* needs a DeepLOB"
    ):
        DeepLobStream(other)
    with pytest.raises(ModelError, match=r"window=18: .* at least 19 rows"):
        DeepLobStream(lived_in_model(), window=18)
    with pytest.raises(ModelError, match=r"window=20\.5: a DeepLOB needs"):
        DeepLobStream(lived_in_model(), window=20.5)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="needs exactly the classes"):
        DeepLobStream(lived_in_model(id2label={0: "a", 1: "b", 2: "c"}))
    model = lived_in_model()
    model.config.hand_features = 5
    with pytest.raises(ModelError, match="takes 5 hand-made features"):
        DeepLobStream(model)


def test_exponentials_are_those_of_float64_to_the_last_bits() -> None:
    def each(function: object, x: Floats) -> Floats:
        return np.array([function(figure) for figure in x], dtype=np.float64)  # type: ignore[operator]

    small = np.logspace(-30, 1.9, 400)
    x = np.concatenate([-small, small, np.linspace(-86, 86, 801)[::2]]).astype(np.float32)
    x = x[x != 0]
    exact = x.astype(np.float64)
    for function, reference in (
        (kernels.exponential_less_one, np.expm1(exact)),
        (kernels.sigmoid, 1 / (1 + np.exp(-exact))),
        (kernels.hyperbolic_tangent, np.tanh(exact)),
    ):
        np.testing.assert_allclose(each(function, x), reference, rtol=5e-7, atol=0)
    ends = np.array([-1e30, -np.inf, 1e30, np.inf, 0], dtype=np.float32)
    assert each(kernels.hyperbolic_tangent, ends).tolist() == [-1, -1, 1, 1, 0]
    np.testing.assert_allclose(each(kernels.sigmoid, ends), [0, 0, 1, 1, 0.5], rtol=0, atol=1e-37)
    assert math.isnan(kernels.sigmoid(np.float32(np.nan)))


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (3, 7, 5), (4, 4, 16), (9, 14, 33)])
def test_the_product_is_numpys_for_any_remainder_of_four(m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(0)
    a, b, out = (rng.normal(size=s).astype(np.float32) for s in ((m, k), (k, n), (m, n)))
    expected = out + a.astype(np.float64) @ b
    kernels.add_product(a, b, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5)


def test_kernels_are_compiled_in_memory_where_numba_has_no_place_for_its_cache() -> None:
    scope: dict[str, object] = {}
    exec("def twice(x):\n    return x + x\n", scope)  # no file, so nowhere to keep it beside
    function = kernels.compiled(scope["twice"])  # type: ignore[type-var]
    assert function(21) == 42
    assert function.stats.cache_path is None


def test_streams_in_threads_do_not_disturb_each_other() -> None:
    model = lived_in_model(window=40, lstm_hidden=16)
    rows = random_rows(3000, model)
    parts = [rows, rows[::-1], rows * 2, -rows]
    alone = [DeepLobStream(model).push_many(part) for part in parts]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda part: DeepLobStream(model).push_many(part), parts))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_published_weights_on_real_rows_are_as_near_to_float64_as_the_plain_pass(
    lob_data_dir: Path, tmp_path: Path
) -> None:
    # they were trained on other data and saturate here, so float32 itself is not good to 1e-5
    book, _ = read_lobster(lob_data_dir / "data/lobster/LOBSTER_SampleFile_GOOG_2012-06-21_10.zip")
    weights = lob_data_dir / "reference/deeplob_pytorch_published.safetensors"
    folder = import_deeplob_published(weights, tmp_path / "model")
    model = DeepLobForSequenceClassification.from_pretrained(folder).eval()
    normalizer = fit_normalizer(
        book, start_row=0, stop_row=50_000, prices="slow_mean", slow_mean_rows=1000, sizes="log"
    )
    rows = normalizer.transform(book, 30_000, 30_400)
    ours = DeepLobStream(model, window=100).push_many(rows)[99:]
    columns = class_columns(model.config)
    theirs = plain_answers(model, rows, 100)[:, columns]
    exact = plain_answers(model.double(), rows.astype(np.float64), 100)[:, columns]
    assert np.ptp(exact, axis=0).max() > 0.9
    assert np.abs(ours - exact).max() < max(1e-5, 2 * np.abs(theirs - exact).max())
    assert np.abs(ours - theirs).mean() < 1e-5
