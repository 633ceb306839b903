"""
One of the benchmark's models in PyTorch, as protocol.ts describes: python3 pytorch.py REQUEST
With `export` it is not trained but written to that path by torch.onnx.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        batch, tokens, dim = x.shape
        size = dim // self.heads
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        # On CPUs the fused operator pays only where a mask halves the work.
        if self.causal:
            x = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            x = ((q * size**-0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dim))


class Block(nn.Module):
    def __init__(self, dim, heads, mlp, causal=False):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, causal)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, mlp), "fc2": nn.Linear(mlp, dim)})

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class ViT(nn.Module):
    def __init__(self, image, channels, patch, dim, depth, heads, mlp, classes):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, dim))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, dim, patch, patch)})
        self.blocks = nn.Sequential(*(Block(dim, heads, mlp) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    def forward(self, image):
        patches = self.patch_embed.proj(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(image.shape[0], -1, -1), patches], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class LeNet(nn.Module):
    def __init__(self, image, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * ((image // 2 - 4) // 2) ** 2, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, image):
        x = F.max_pool2d(F.relu(self.conv1(image)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class GPT(nn.Module):
    def __init__(self, vocabulary, context, dim, depth, heads, mlp):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, dim)
        self.wpe = nn.Parameter(torch.zeros(context, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads, mlp, causal=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, tokens):
        return F.linear(self.norm(self.blocks(self.wte(tokens) + self.wpe)), self.wte.weight)


MODELS = {"vit": ViT, "lenet": LeNet, "gpt": GPT}


def read_safetensors(path):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    start = 8 + int.from_bytes(data[:8], "little")
    types = {"F32": torch.float32, "I32": torch.int32}

    def tensor(dtype, shape, data_offsets):
        first, last = data_offsets
        flat = torch.frombuffer(data, dtype=types[dtype], count=(last - first) // 4, offset=start + first)
        return flat.reshape(shape)

    return {name: tensor(**entry) for name, entry in json.loads(data[8:start]).items()}


def peak_mb():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except FileNotFoundError:
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def say(**message):
    print(json.dumps(message), flush=True)


def main(model, config, threads, lr, start, compiled=False, export=None):
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    tensors = read_safetensors(start)
    x, label = tensors.pop("input"), tensors.pop("label").long()
    net = MODELS[model](**config)
    net.load_state_dict(tensors)

    if export:
        names = {"input_names": ["tokens" if model == "gpt" else "image"], "output_names": ["logits"]}
        shapes = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(net.eval(), (x,), export, dynamic_shapes=shapes, external_data=False, **names)
        return say(version=torch.__version__)

    def loss_of(x, label):
        return F.cross_entropy(net(x).flatten(0, -2), label.flatten())

    forward = torch.compile(loss_of) if compiled else loss_of
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, fused=True)

    say(version=torch.__version__)
    for _ in sys.stdin:
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss = forward(x, label)
        loss.backward()
        optimizer.step()
        value = loss.item()
        say(ms=1000 * (time.perf_counter() - begin), loss=value, peakMB=peak_mb())


main(**json.loads(sys.argv[1]))
