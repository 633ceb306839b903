"""Networks with batch norms as PyTorch exports and fine-tunes them: the fixtures in test/finetune/torch.

    pip install torch onnx onnxscript safetensors numpy
    python3 scripts/finetune-references.py FOLDER [MNIST]

Only this script needs Python; the tests read what it wrote. Each KIND.bin.gz is a safetensors file:
  onnx               the bytes of the file
  x, label           ten batches, [10, B, 3, 8, 8] and [10, B]
  loss.MODE          the loss of each of ten steps of SGD with momentum, in float64; MODE is evaluation (`.eval()`) or training
  after.MODE.NAME    parameters and running statistics after the steps
mnist.onnx.gz is a small convolutional network that PyTorch trained for two epochs on the gzipped IDX files in the folder MNIST.
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


def digits(folder, split):
    read = lambda name, skip: np.frombuffer(gzip.decompress((folder / f"{name}.gz").read_bytes()), np.uint8)[skip:].copy()
    images = torch.from_numpy(read(f"{split}-images-idx3-ubyte", 16)).view(-1, 1, 28, 28).float() / 255
    return images, torch.from_numpy(read(f"{split}-labels-idx1-ubyte", 8)).long()


def mnist(source):
    """Reads pixels in [0, 1], as torchvision's ToTensor gives them."""
    torch.manual_seed(1)
    net = nn.Sequential()
    net.conv1, net.relu1, net.pool1 = nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2)
    net.conv2, net.relu2, net.pool2 = nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)
    net.flat, net.drop, net.fc1, net.relu3 = nn.Flatten(), nn.Dropout(0.2), nn.Linear(800, 32), nn.ReLU()
    net.fc2 = nn.Linear(32, 10)
    images, labels = digits(source, "train")
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(2):
        for rows in torch.randperm(len(images)).split(128):
            loss = F.cross_entropy(net(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    net.eval()
    images, labels = digits(source, "t10k")
    print("mnist", (net(images).argmax(1) == labels).float().mean().item())
    with torch.no_grad():
        for p in net.parameters():  # values of few bits compress well
            p.copy_((p * 2**12).round() / 2**12)
    buffer = io.BytesIO()
    torch.onnx.export(net, (images[:2],), buffer, dynamo=False, opset_version=17, input_names=["input"],
                      output_names=["output"], dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}})
    return buffer.getvalue()


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
    if len(sys.argv) > 2:
        path = folder / "mnist.onnx.gz"
        path.write_bytes(gzip.compress(mnist(Path(sys.argv[2])), 9, mtime=0))
        print(path, path.stat().st_size)


main()
