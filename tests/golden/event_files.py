"""Event files as TensorBoard's own classes write and read them.

    python event_files.py write tests/golden/event_files.bin
    python event_files.py read FOLDER            # prints what TensorBoard sees in it
    python event_files.py check FOLDER           # of a folder that a test has left: see below

Made with Python 3.11.7, tensorboard 2.21.0, protobuf 7.36.2, numpy 2.4.6.

The file that `write` makes is compared byte by byte by `src/record/tensorboard/tests.rs`, which writes the
same steps. `check` is for the folder that this test leaves at EVENKEEL_TENSORBOARD: a run of 6 steps that is
stopped and gone on with at step 4.
"""

import json
import sys

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

NAN, INF = float("nan"), float("inf")


def scalar(tag, value):
    return summary_pb2.Summary.Value(tag=tag, simple_value=value)


def text(tag, words):
    """As torch.utils.tensorboard.summary.text makes it."""
    plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="text")
    return summary_pb2.Summary.Value(
        tag=tag,
        metadata=summary_pb2.SummaryMetadata(plugin_data=plugin),
        tensor=tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING,
            string_val=[words.encode()],
            tensor_shape=tensor_shape_pb2.TensorShapeProto(
                dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)]
            ),
        ),
    )


def event(time, **what):
    return event_pb2.Event(wall_time=time, **what)


EVENTS = [
    event(1700000000.25, file_version="brain.Event:2"),
    event(
        1700000000.25,
        step=4,
        session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START),
    ),
    event(
        1700000000.25,
        step=4,
        summary=summary_pb2.Summary(
            value=[scalar("loss", 0.1), scalar("grad_norm", 0.0), scalar("grad_norm/a.weight", 1e-30)]
        ),
    ),
    event(
        1700000000.25,
        step=2**40,
        summary=summary_pb2.Summary(
            value=[
                scalar("loss", NAN),
                scalar("grad_norm", INF),
                scalar("least", -INF),
                text("incidents", "batch 5: non-finite loss, \u00fcber all"),
            ]
        ),
    ),
]


def write(path):
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for one in EVENTS:
            writer.write(one.SerializeToString(deterministic=True))
        writer.flush()


def served(folder):
    """What TensorBoard's server shows, without its data server in Rust."""
    seen = plugin_event_accumulator.EventAccumulator(folder, {"tensors": 0})
    seen.Reload()
    found = {"scalars": {}, "text": {}}
    for tag in seen.Tags()["tensors"]:
        of = found[seen.SummaryMetadata(tag).plugin_data.plugin_name]
        made = lambda e: tensor_util.make_ndarray(e.tensor_proto).tolist()
        of[tag] = [(e.step, made(e)) for e in seen.Tensors(tag)]
    return found["scalars"], {
        tag: [(step, [word.decode() for word in words]) for step, words in of]
        for tag, of in found["text"].items()
    }


def load(folder):
    sizes = {event_accumulator.SCALARS: 0, event_accumulator.TENSORS: 0}
    seen = event_accumulator.EventAccumulator(folder, sizes)
    seen.Reload()
    tags = seen.Tags()
    scalars = {tag: [(e.step, e.value) for e in seen.Scalars(tag)] for tag in tags["scalars"]}
    texts = {}
    for tag in tags["tensors"]:
        assert seen.SummaryMetadata(tag).plugin_data.plugin_name == "text", tag
        made = lambda e: tensor_util.make_ndarray(e.tensor_proto).tolist()
        texts[tag] = [(e.step, [word.decode() for word in made(e)]) for e in seen.Tensors(tag)]
    return scalars, texts


def check(folder):
    for scalars, texts in (load(folder), served(folder)):
        as_expected(scalars, texts)


def as_expected(scalars, texts):
    expected = {"loss": [(k, 0.5 if k < 4 else 0.25) for k in range(6)], "late": [(5, NAN)]}
    assert json.dumps(scalars, sort_keys=True) == json.dumps(expected, sort_keys=True), scalars
    assert texts == {"incidents": [(1, ["before"]), (5, ["after"])]}, texts


if __name__ == "__main__":
    what, path = sys.argv[1:]
    if what == "write":
        write(path)
    elif what == "read":
        print(json.dumps(load(path), indent=1))
    else:
        check(path)
        print("as it should be")
