"""A caller in a process of its own: asks, prints "reading" at the first answer text, and waits to be killed."""

import sys
import time

import grpc

from gateway.v1 import inference_pb2, inference_pb2_grpc


def main(target: str, method: str) -> None:
    """Calls `Generate` or `Converse` of the gateway at `target`."""
    never = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER)
    turn = inference_pb2.Turn(prompt="hi", search=never)
    stub = inference_pb2_grpc.InferenceStub(grpc.insecure_channel(target))
    if method == "Generate":
        frames = stub.Generate(turn)
    else:
        frames = stub.Converse(_and_wait(inference_pb2.ClientFrame(turn=turn)))
    for frame in frames:
        if frame.delta.text:
            print("reading", flush=True)


def _and_wait(frame):  # type: ignore[no-untyped-def]  # a script
    yield frame
    time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
