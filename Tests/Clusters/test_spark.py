import os
import pathlib
import signal
import sys

import numpy
import pytest
import sardonyx
import sardonyx.spark
from pyspark import cloudpickle
from pyspark.sql import SparkSession

import conftest
from conftest import MODEL, pixels

# Workers have no modules of these names: what is in them travels.
for module in conftest, sys.modules[__name__]:
    cloudpickle.register_pickle_by_value(module)


@pytest.fixture(scope="module")
def spark():
    """Two workers, and four tries for each task."""
    session = (SparkSession.builder.master("local[2,4]").appName("sardonyx")
               .config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.sql.shuffle.partitions", "2").getOrCreate())
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def scored(frame):
    return {row["name"]: row for row in frame.collect()}


def test_images(spark, pictures, expected):
    frame = spark.createDataFrame(list(pictures.items()), "name string, picture binary").repartition(4)
    rows = scored(sardonyx.spark.score(
        frame, MODEL, columns={"image": "picture"}, prepare={"image": pixels}))
    assert len(rows) == len(expected)
    for name, probabilities in expected.items():
        assert rows[name]["probabilities"] == probabilities and rows[name]["error"] is None
    right = sum(int(numpy.argmax(row["probabilities"])) == int(name[0]) for name, row in rows.items())
    print(f"Spark: {len(rows)} pictures, {right} right, all as in one process")
    assert right >= 0.9 * len(rows)


def test_tensors_by_bytes_of_the_model(spark, pictures, expected):
    data = [(name, pixels(encoded).ravel().tolist()) for name, encoded in pictures.items()]
    frame = spark.createDataFrame(data, "name string, image array<float>").repartition(3)
    rows = scored(sardonyx.spark.score(frame, pathlib.Path(MODEL).read_bytes(), batch_size=7))
    assert {name: row["probabilities"] for name, row in rows.items()} == expected


def test_a_bad_row_is_told_and_the_others_kept(spark, pictures, expected):
    data = list(pictures.items()) + [("bad", b"no picture"), ("none", None)]
    frame = spark.createDataFrame(data, "name string, picture binary").repartition(2)
    rows = scored(sardonyx.spark.score(
        frame, MODEL, columns={"image": "picture"}, prepare={"image": pixels}))
    assert "UnidentifiedImageError" in rows["bad"]["error"] and rows["bad"]["probabilities"] is None
    assert rows["none"]["error"] == 'column "picture": expected a value, got none'
    assert {name: row["probabilities"] for name, row in rows.items() if row["error"] is None} == expected


def test_a_killed_worker_is_replaced(spark, pictures, expected, tmp_path):
    mark = tmp_path / "killed"

    def killing(encoded):
        # The first worker to come here ends as the kernel would end it.
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return pixels(encoded)
        os.kill(os.getpid(), signal.SIGKILL)

    frame = spark.createDataFrame(list(pictures.items()), "name string, picture binary").repartition(4)
    rows = scored(sardonyx.spark.score(
        frame, MODEL, columns={"image": "picture"}, prepare={"image": killing}))
    assert mark.exists()
    assert {name: row["probabilities"] for name, row in rows.items()} == expected


def test_what_does_not_fit_is_told_before_work_starts(spark):
    frame = spark.createDataFrame([("a", 1.0)], "name string, error double")
    with pytest.raises(sardonyx.Error, match="expected others than"):
        sardonyx.spark.score(frame, MODEL, columns={"image": "name"})
    with pytest.raises(sardonyx.Error, match="expected .'image'. among them"):
        sardonyx.spark.score(frame.drop("error"), MODEL)
    with pytest.raises(sardonyx.Error, match="no such file|cannot be"):
        sardonyx.spark.score(frame.drop("error"), "/nowhere.onnx")
