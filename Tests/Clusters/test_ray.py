import os
import signal
import sys

import numpy
import pytest
import ray
import sardonyx
import sardonyx.ray

import conftest
from conftest import MODEL, pixels

# Workers have no modules of these names: what is in them travels.
for module in conftest, sys.modules[__name__]:
    ray.cloudpickle.register_pickle_by_value(module)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def score(rows, prepare=pixels, **options):
    dataset = ray.data.from_items(rows, override_num_blocks=6)
    scored = dataset.map_batches(
        sardonyx.ray.Scorer, fn_constructor_args=(MODEL,),
        fn_constructor_kwargs={"columns": {"image": "picture"}, "prepare": {"image": prepare}, **options},
        concurrency=2, batch_size=16)
    return {row["name"]: row for row in scored.take_all()}


def items(pictures):
    return [{"name": name, "picture": encoded} for name, encoded in pictures.items()]


def test_images(pictures, expected):
    rows = score(items(pictures))
    assert {name: row["probabilities"].tolist() for name, row in rows.items()} == expected
    assert {row["error"] for row in rows.values()} == {""}
    right = sum(int(numpy.argmax(row["probabilities"])) == int(name[0]) for name, row in rows.items())
    print(f"Ray: {len(rows)} pictures by two workers, {right} right, all as in one process")


def test_a_bad_row_is_told_and_the_others_kept(pictures, expected):
    rows = score([*items(pictures), {"name": "bad", "picture": b"no picture"}])
    bad = rows.pop("bad")
    assert "UnidentifiedImageError" in bad["error"] and not bad["probabilities"].any()
    assert {name: row["probabilities"].tolist() for name, row in rows.items()} == expected


def test_a_killed_worker_is_replaced(pictures, expected, tmp_path):
    mark = tmp_path / "killed"

    def killing(encoded):
        # The first worker to come here ends as the kernel would end it.
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return pixels(encoded)
        os.kill(os.getpid(), signal.SIGKILL)

    rows = score(items(pictures), killing)
    assert mark.exists()
    assert {name: row["probabilities"].tolist() for name, row in rows.items()} == expected


def test_without_ray():
    scorer = sardonyx.ray.Scorer(MODEL)
    image = numpy.zeros((3, 1, 8, 8), numpy.float32)
    scored = scorer({"image": image, "other": numpy.arange(3)})
    assert scored["probabilities"].shape == (3, 10) and scored["other"].tolist() == [0, 1, 2]
    none = scorer({"image": numpy.array([None], object)})
    assert none["probabilities"].shape == (1, 10) and "expected a value, got none" in none["error"][0]
    with pytest.raises(sardonyx.Error, match="expected others than"):
        scorer({"image": image, "error": image})
    with pytest.raises(sardonyx.Error, match="columns: expected .'image'. among them"):
        scorer({"picture": image})
