"""Runs each .onnx file of a folder with the onnxruntime that PYTHONPATH has: see run.mjs."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

folder = Path(sys.argv[1])
given = json.loads((folder / "input.json").read_text())
image = np.array(given["data"], dtype=np.float32).reshape(given["dims"])
ort.set_default_logger_severity(4)
results = {}
for file in sorted(folder.glob("*.onnx")):
    try:
        session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        results[file.name] = session.run(["logits"], {"image": image})[0].ravel().tolist()
    except Exception as error:  # What it says is the result.
        results[file.name] = str(error)
print(json.dumps(results))
