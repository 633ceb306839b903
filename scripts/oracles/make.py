"""Reference values from PyTorch for ops, optimizers and the ViT, as safetensors files.

    pip install torch safetensors numpy
    python3 scripts/oracles/make.py FOLDER [--seed 7] [--small]

Any PyTorch from 1.13 on. Another seed gives other values and other shapes. --small leaves the larger ViTs out: these are the
cases in test/oracles. `npm run oracles -- FOLDER` compares onnxgrad with them.

The metadata of a file names the case and has its attributes as JSON.
  ops/CASE    float64: in.NAME, out.I, gy.I (upstream gradients), gin.NAME (gradients of the inputs)
  optim/CASE  float64: p0, g [steps, n], p [steps, n] (parameters after each step), lr [steps]
  vit/CASE    float32 or float64: w.* (timm's names), x, y, logits, losses, g.* (of the first step), p.* (after the last)
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

parser = argparse.ArgumentParser(description="Writes reference values from PyTorch.")
parser.add_argument("folder", type=Path)
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--small", action="store_true", help="only the cases of test/oracles")
args = parser.parse_args()

gen = torch.Generator().manual_seed(args.seed)
k = 1 if args.seed == 7 else 2  # other seeds use other shapes, too
count = 0


def normal(*shape):
    return torch.randn(*shape, generator=gen, dtype=torch.float64)


def uniform(*shape, low=0.2, high=2.0):
    return torch.rand(*shape, generator=gen, dtype=torch.float64) * (high - low) + low


def integers(high, *shape):
    return torch.randint(0, high, shape, generator=gen)


def save(kind, case, tensors, **about):
    global count
    path = args.folder / kind / f"{case}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    values = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
    save_file(values, str(path), metadata={"case": case, **metadata})
    count += 1


# ---------------------------------------------------------------------------------------------------------------- ops

def op(case, f, inputs, name, attrs=None, constant=()):
    """Outputs for the inputs, and from random upstream gradients the gradient of each floating-point input that is not constant."""
    inputs = {key: v.clone().requires_grad_(v.is_floating_point() and key not in constant) for key, v in inputs.items()}
    out = f(**inputs)
    outs = out if isinstance(out, (tuple, list)) else [out]
    upstream = [normal(*o.shape) if o.dim() else normal(1)[0] for o in outs]
    wrt = {key: v for key, v in inputs.items() if v.requires_grad}
    grads = torch.autograd.grad(outs, list(wrt.values()), upstream, allow_unused=True)
    tensors = {f"in.{key}": v for key, v in inputs.items()}
    tensors.update({f"out.{i}": o for i, o in enumerate(outs)})
    tensors.update({f"gy.{i}": g for i, g in enumerate(upstream)})
    tensors.update({f"gin.{key}": torch.zeros_like(v) if g is None else g for (key, v), g in zip(wrt.items(), grads)})
    save("ops", case, tensors, op=name, attrs=attrs or {})


def elementwise():
    for name in ["add", "sub", "mul"]:
        f = getattr(torch, name)
        op(f"{name}_same", lambda a, b: f(a, b), dict(a=normal(3 * k, 5), b=normal(3 * k, 5)), name)
        op(f"{name}_bcast", lambda a, b: f(a, b), dict(a=normal(2, 3 * k, 1, 5), b=normal(4, 1)), name)
    op("div", lambda a, b: a / b, dict(a=normal(3, 4 * k), b=uniform(4 * k)), "div")
    op("pow_scalar", lambda a: a**3, dict(a=normal(3, 4 * k)), "pow", {"exponent": 3})
    op("pow_tensor", lambda a, b: a**b, dict(a=uniform(3, 4 * k), b=normal(3, 4 * k)), "pow")
    for name in ["maximum", "minimum"]:
        op(name, getattr(torch, name), dict(input=normal(3, 4 * k), other=normal(4 * k)), name)
    choice = dict(condition=integers(2, 3, 4 * k).bool(), a=normal(3, 4 * k), b=normal(4 * k))
    op("where", lambda condition, a, b: torch.where(condition, a, b), choice, "where")
    for name in ["neg", "abs", "exp", "sin", "cos", "tanh", "sigmoid", "erf"]:
        f = getattr(torch, name)
        op(name, lambda a: f(a), dict(a=normal(4, 7 * k) * 1.5), name)
    for name in ["relu", "silu", "softplus", "gelu", "elu", "softsign", "hardswish"]:
        f = getattr(F, name)
        op(name, lambda a: f(a), dict(a=normal(4, 7 * k) * 1.5), name)
    tanh = {"approximate": "tanh"}
    op("gelu_tanh", lambda a: F.gelu(a, **tanh), dict(a=normal(4, 7 * k)), "gelu", tanh)
    op("leaky_relu", lambda a: F.leaky_relu(a, 0.1), dict(a=normal(4, 7)), "leaky_relu", {"alpha": 0.1})
    op("clip", lambda a: torch.clamp(a, -0.5, 0.8), dict(a=normal(4, 7 * k)), "clip", {"min": -0.5, "max": 0.8})
    for name in ["log", "sqrt", "reciprocal"]:
        f = getattr(torch, name)
        op(name, lambda a: f(a), dict(a=uniform(4, 7)), name)


def products():
    for case, a, b in [
        ("2d", (5, 7 * k), (7 * k, 3)),
        ("batched", (2, 3, 5, 7), (2, 3, 7, 4)),
        ("bcast", (2, 3, 5, 7), (3, 7, 4)),
        ("rhs2d", (2, 3, 5, 7), (7, 4)),
        ("vec", (2, 5, 7), (7,)),
    ]:
        op(f"matmul_{case}", lambda a, b: a @ b, dict(a=normal(*a), b=normal(*b)), "matmul")
    weights = dict(x=normal(2, 5 * k, 7), w=normal(4, 7), b=normal(4))
    op("linear", lambda x, w, b: F.linear(x, w, b), weights, "linear", {"note": "w is [out, in]"})
    for case, causal in [("attention", False), ("attention_causal", True)]:
        qkv = {name: normal(2, 3, 5 * k, 4) for name in "qkv"}
        op(case, lambda q, k, v: attention(q, k, v, causal), qkv, "attention", {"causal": True} if causal else {})


def attention(q, k, v, causal=False):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).tril() == 0, float("-inf"))
    return F.softmax(scores, -1) @ v


def norms():
    op("softmax", lambda a: F.softmax(a, -1), dict(a=normal(2, 3, 9 * k)), "softmax", {"axis": -1})
    op("softmax_axis1", lambda a: F.softmax(a, 1), dict(a=normal(2, 5, 4)), "softmax", {"axis": 1})
    op("log_softmax", lambda a: F.log_softmax(a, -1), dict(a=normal(4, 9 * k)), "log_softmax", {"axis": -1})
    for case, shape in [("layer_norm", [8]), ("layer_norm_2axes", [4, 8])]:
        inputs = dict(x=normal(3, 4 if len(shape) == 2 else 5 * k, 8), w=normal(*shape), b=normal(*shape))
        attrs = {"eps": 1e-5, "normalized_shape": shape}
        op(case, lambda x, w, b: F.layer_norm(x, shape, w, b, 1e-5), inputs, "layer_norm", attrs)
    rms = lambda x, w: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w
    op("rms_norm", rms, dict(x=normal(3, 5, 8), w=normal(8)), "rms_norm", {"eps": 1e-6})
    inputs = dict(x=normal(4, 3, 5, 5), w=normal(3), b=normal(3))
    batch = lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.1, 1e-5)
    op("batch_norm_train", batch, inputs, "batch_norm", {"training": True, "eps": 1e-5})
    inputs = dict(x=normal(2, 4, 5, 3), w=normal(4), b=normal(4))
    op("group_norm", lambda x, w, b: F.group_norm(x, 2, w, b, 1e-5), inputs, "group_norm", {"groups": 2, "eps": 1e-5})


def losses():
    target = integers(6, 5 * k)
    ignored = target.clone()
    ignored[0] = -100
    for case, labels, attrs in [
        ("cross_entropy", target, {}),
        ("cross_entropy_smooth", target, {"label_smoothing": 0.1}),
        ("cross_entropy_ignore", ignored, {"ignore_index": -100}),
    ]:
        loss = lambda logits, target: F.cross_entropy(logits, target, **attrs)
        op(case, loss, dict(logits=normal(5 * k, 6), target=labels), "cross_entropy", attrs)
    soft = dict(logits=normal(5, 6), target=F.softmax(normal(5, 6), -1))
    loss = lambda logits, target: F.cross_entropy(logits, target)
    op("cross_entropy_soft", loss, soft, "cross_entropy", {"target": "probabilities"}, constant=("target",))
    pair = dict(input=normal(5, 6), target=normal(5, 6))
    op("mse_loss", lambda input, target: F.mse_loss(input, target), pair, "mse_loss", constant=("target",))
    pair = dict(input=normal(5, 6), target=uniform(5, 6, low=0, high=1))
    bce = lambda input, target: F.binary_cross_entropy_with_logits(input, target)
    op("bce_with_logits", bce, pair, "bce_with_logits", constant=("target",))


def shapes():
    op("reshape", lambda a: a.reshape(6, 4 * k), dict(a=normal(2, 3, 4 * k)), "reshape", {"shape": [6, 4 * k]})
    perm = {"perm": [2, 0, 3, 1]}
    op("transpose", lambda a: a.permute(2, 0, 3, 1), dict(a=normal(2, 3, 4, 5 * k)), "transpose", perm)
    three = dict(a=normal(2, 3, 4), b=normal(2, k, 4), c=normal(2, 5, 4))
    op("concat", lambda a, b, c: torch.cat([a, b, c], 1), three, "concat", {"axis": 1})
    op("split", lambda a: torch.split(a, [2, 1, 3], 1), dict(a=normal(2, 6, 4)), "split", {"axis": 1, "sizes": [2, 1, 3]})
    bounds = {"starts": [1, -3], "ends": [6, 5], "axes": [1, 2], "steps": [2, 1]}
    op("slice", lambda a: a[:, 1:6:2, -3:], dict(a=normal(2, 7, 5)), "slice", bounds)
    op("expand", lambda a: a.expand(4, 3, 5), dict(a=normal(3, 1)), "expand", {"shape": [4, 3, 5]})
    pads = {"pads_last_dims_first": [1, 2, 0, 3]}
    op("pad_constant", lambda a: F.pad(a, (1, 2, 0, 3)), dict(a=normal(2, 4, 5)), "pad", pads)
    index = integers(9, 4, 3 * k)
    table = dict(table=normal(9, 6), index=index)
    op("embedding", lambda table, index: F.embedding(index, table), table, "gather", {"axis": 0})
    elements = dict(a=normal(4, 9), index=index)
    op("gather_elements", lambda a, index: torch.gather(a, 1, index), elements, "gather_elements", {"axis": 1})
    op("tril_mask", lambda a: torch.tril(a), dict(a=normal(3, 5, 5)), "tril")
    op("cumsum", lambda a: torch.cumsum(a, 1), dict(a=normal(2, 5 * k)), "cumsum", {"axis": 1})


def reductions():
    variance = lambda a, axes, keep: torch.var(a, axes, unbiased=False, keepdim=keep)
    for name, f in {
        "reduce_sum": lambda a, axes, keep: torch.sum(a, axes, keepdim=keep),
        "reduce_mean": lambda a, axes, keep: torch.mean(a, axes, keepdim=keep),
        "reduce_var": variance,
    }.items():
        for kind, axes, keep in [("keep", [0, 2], True), ("drop", [1], False)]:
            attrs = {"axes": axes, "keepdims": keep}
            op(f"{name}_{kind}", lambda a: f(a, tuple(axes), keep), dict(a=normal(3, 4, 5 * k)), name, attrs)
    for name, f in [("reduce_max", torch.amax), ("reduce_min", torch.amin)]:
        op(name, lambda a: f(a, 1), dict(a=normal(3, 4 * k, 5)), name, {"axes": [1], "keepdims": False})
    attrs = {"axes": [-1], "keepdims": False}
    op("logsumexp", lambda a: torch.logsumexp(a, -1), dict(a=normal(3, 4 * k)), "logsumexp", attrs)


def convolutions():
    for case, x, w, bias, attrs in [
        ("conv2d", (2, 3, 8, 7), (4, 3, 3, 3), True, {"stride": 2, "padding": 1}),
        ("conv2d_patch", (2, 3, 8, 8), (5, 3, 4, 4), True, {"stride": 4}),
        ("conv2d_dilated", (2, 3, 7, 7), (4, 3, 3, 3), False, {"dilation": 2, "padding": 2}),
        ("conv2d_depthwise", (2, 4, 6, 6), (4, 1, 3, 3), False, {"padding": 1, "groups": 4}),
    ]:
        inputs = dict(x=normal(*x), w=normal(*w), **(dict(b=normal(w[0])) if bias else {}))
        op(case, lambda x, w, b=None: F.conv2d(x, w, b, **attrs), inputs, "conv2d", attrs)
    op("max_pool2d", lambda x: F.max_pool2d(x, 2), dict(x=normal(2, 3, 6, 8)), "max_pool2d", {"kernel": 2})
    overlap = {"kernel": 3, "stride": 2, "padding": 1}
    op("max_pool2d_overlap", lambda x: F.max_pool2d(x, 3, 2, 1), dict(x=normal(2, 3, 7, 8)), "max_pool2d", overlap)
    op("avg_pool2d", lambda x: F.avg_pool2d(x, 2), dict(x=normal(2, 3, 6, 8)), "avg_pool2d", {"kernel": 2})


# --------------------------------------------------------------------------------------------------------- optimizers

def optimizer(case, make, attrs, steps=12, schedule=None):
    """Parameters after each step of an optimizer on random gradients."""
    p = nn.Parameter(normal(17))
    start = p.detach().clone()
    chosen = make([p])
    plan = schedule and schedule(chosen)
    gradients, trace, rates = normal(steps, 17), [], []
    for g in gradients:
        p.grad = g.clone()
        rates.append(chosen.param_groups[0]["lr"])
        chosen.step()
        trace.append(p.detach().clone())
        if plan:
            plan.step()
    lr = torch.tensor(rates, dtype=torch.float64)
    save("optim", case, dict(p0=start, g=gradients, p=torch.stack(trace), lr=lr), attrs=attrs)


def optimizers():
    O = torch.optim
    optimizer("sgd", lambda p: O.SGD(p, 0.1), dict(lr=0.1))
    attrs = dict(lr=0.1, momentum=0.9, weight_decay=0.01)
    optimizer("sgd_momentum", lambda p: O.SGD(p, **attrs), attrs)
    nesterov = dict(lr=0.1, momentum=0.9, nesterov=True)
    optimizer("sgd_nesterov", lambda p: O.SGD(p, **nesterov), nesterov)
    adam = dict(lr=1e-2, betas=[0.9, 0.999], eps=1e-8)
    optimizer("adam", lambda p: O.Adam(p, **adam), adam)
    l2 = dict(lr=1e-2, weight_decay=0.05)
    optimizer("adam_l2", lambda p: O.Adam(p, **l2), l2)
    adamw = dict(lr=1e-2, betas=[0.9, 0.98], eps=1e-6, weight_decay=0.05)
    optimizer("adamw", lambda p: O.AdamW(p, **adamw), adamw)
    rmsprop = dict(lr=1e-2, alpha=0.9, eps=1e-8)
    optimizer("rmsprop", lambda p: O.RMSprop(p, **rmsprop), rmsprop)
    adagrad = dict(lr=1e-2, eps=1e-10)
    optimizer("adagrad", lambda p: O.Adagrad(p, **adagrad), adagrad)
    half, S = (lambda p: O.SGD(p, 0.5)), O.lr_scheduler
    cosine = dict(schedule="cosine", steps=20, lr=0.5)
    optimizer("sched_cosine", half, cosine, 20, lambda o: S.CosineAnnealingLR(o, 20))
    cycle = dict(schedule="one_cycle", steps=20, max_lr=0.5)
    optimizer("sched_onecycle", half, cycle, 20, lambda o: S.OneCycleLR(o, 0.5, 20, cycle_momentum=False))
    step = dict(schedule="step", step_size=6, gamma=0.3, lr=0.5)
    optimizer("sched_step", half, step, 20, lambda o: S.StepLR(o, 6, 0.3))


# ---------------------------------------------------------------------------------------------------------------- ViT

class Block(nn.Module):
    def __init__(self, dim, heads, mlp):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn = nn.ModuleDict(dict(qkv=nn.Linear(dim, 3 * dim), proj=nn.Linear(dim, dim)))
        self.mlp = nn.ModuleDict(dict(fc1=nn.Linear(dim, mlp), fc2=nn.Linear(mlp, dim)))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.attn["qkv"](self.norm1(x)).reshape(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.attn["proj"](attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class ViT(nn.Module):
    """With the parameter names of timm's vision_transformer; the head reads the CLS token."""

    def __init__(self, img, ch, patch, dim, depth, heads, mlp, classes):
        super().__init__()
        self.patch_embed = nn.ModuleDict(dict(proj=nn.Conv2d(ch, dim, patch, patch)))
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, (img // patch) ** 2 + 1, dim) * 0.02)
        self.blocks = nn.ModuleList([Block(dim, heads, mlp) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, classes)

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def vit(case, dtype, config, steps=3, batch=6, lr=1e-3):
    torch.manual_seed(args.seed + len(case))
    model = ViT(**config).to(dtype)
    with torch.no_grad():  # so that no parameter is 0 or 1, biases and norms included
        for p in model.parameters():
            p.add_(normal(*p.shape).to(dtype) * 0.05)
    x, y = normal(batch, config["ch"], config["img"], config["img"]).to(dtype), integers(config["classes"], batch)
    tensors = {f"w.{name}": v.clone() for name, v in model.state_dict().items()}
    adam = torch.optim.Adam(model.parameters(), lr)
    seen = []
    for step in range(steps):
        adam.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        seen.append(loss.detach())
        if step == 0:
            tensors.update(x=x, y=y, logits=logits)
            tensors.update({f"g.{name}": p.grad.clone() for name, p in model.named_parameters()})
        adam.step()
    tensors["losses"] = torch.stack(seen)
    tensors.update({f"p.{name}": p for name, p in model.named_parameters()})
    save("vit", case, tensors, config=config, optimizer=dict(name="adam", lr=lr, steps=steps))


def vits():
    tiny = dict(img=8, ch=2, patch=4, dim=12, depth=2, heads=3, mlp=20, classes=5)
    vit("tiny_f32", torch.float32, tiny)
    vit("tiny_f64", torch.float64, tiny)
    if args.small:
        return
    vit("lecture_f32", torch.float32, dict(img=28, ch=1, patch=7, dim=64, depth=4, heads=4, mlp=128, classes=10))
    small = [
        dict(img=12, ch=3, patch=4, dim=24, depth=2, heads=3, mlp=40, classes=7),
        dict(img=20, ch=2, patch=5, dim=32, depth=3, heads=2, mlp=48, classes=5),
    ]
    vit("small_f64", torch.float64, small[k - 1])


for cases in [elementwise, products, norms, losses, shapes, reductions, convolutions, optimizers, vits]:
    cases()
print(f"{count} cases in {args.folder}")
