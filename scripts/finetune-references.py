"""Networks with batch norms as PyTorch exports and fine-tunes them: the fixtures in test/finetune/torch.

    pip install torch onnx onnxscript safetensors numpy
    python3 scripts/finetune-references.py FOLDER

Only this script needs Python; the tests read what it wrote. Each KIND.bin.gz is a safetensors file:
  onnx               the bytes of the file
  x, label           ten batches, [10, B, 3, 8, 8] and [10, B]
  loss.MODE          the loss of each of ten steps of SGD with momentum, in float64; MODE is evaluation (`.eval()`) or training
  after.MODE.NAME    parameters and running statistics after the steps
Kinds: preserved and dynamo (exported in evaluation mode, batch norms kept), trained (exported in training mode).
"""
import copy
import gzip
import io
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.numpy import save


def network():
    torch.manual_seed(7)
    net = nn.Sequential()
    net.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
    net.bn1 = nn.BatchNorm2d(6)
    net.act1 = nn.ReLU()
    net.dw = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6, bias=False)
    net.bn2 = nn.BatchNorm2d(6, eps=1e-3, momentum=0.01)
    net.act2 = nn.Hardswish()
    net.pool = nn.AdaptiveAvgPool2d(1)
    net.flat = nn.Flatten()
    net.fc1 = nn.Linear(6, 8)
    net.bn3 = nn.BatchNorm1d(8)
    net.act3 = nn.ReLU()
    net.fc2 = nn.Linear(8, 4)
    for norm in (net.bn1, net.bn2, net.bn3):
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 1.5)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.3, 0.3)
    return net


def exported(net, kind):
    buffer = io.BytesIO()
    x = torch.zeros(2, 3, 8, 8)
    if kind == "dynamo":
        program = torch.onnx.export(net.eval(), (x,), dynamo=True, optimize=False, input_names=["x"], output_names=["y"],
                                    dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False)
        program.save(buffer)
        return buffer.getvalue()
    mode = torch.onnx.TrainingMode
    training = {"preserved": mode.PRESERVE, "trained": mode.TRAINING}[kind]
    torch.onnx.export(net.eval() if kind == "preserved" else net.train(), (x,), buffer, dynamo=False, opset_version=17,
                      training=training, do_constant_folding=False, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    return buffer.getvalue()


def tuned(net, xs, labels, mode):
    net = copy.deepcopy(net).double()
    net.train(mode == "training")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for x, label in zip(xs.double(), labels):
        loss = F.cross_entropy(net(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = {name: t.detach().float().numpy() for name, t in net.state_dict().items() if "num_batches" not in name}
    return np.array(losses, np.float32), after


def main():
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    net = network()
    torch.manual_seed(3)
    xs = torch.randn(10, 12, 3, 8, 8).float()
    labels = torch.randint(0, 4, (10, 12))
    for kind in ("preserved", "dynamo", "trained"):
        own = copy.deepcopy(net)  # an export in training mode changes its running statistics
        tensors = {"onnx": np.frombuffer(exported(own, kind), np.uint8).copy(),
                   "x": xs.numpy(), "label": labels.int().numpy()}
        for mode in ("evaluation", "training"):
            losses, after = tuned(own, xs, labels, mode)
            tensors[f"loss.{mode}"] = losses
            tensors |= {f"after.{mode}.{name}": values for name, values in after.items()}
        path = folder / f"{kind}.bin.gz"
        path.write_bytes(gzip.compress(save(tensors), 9, mtime=0))
        print(path, path.stat().st_size)


main()
