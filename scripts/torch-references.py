"""Small ONNX files as PyTorch writes them, with what PyTorch computes of them: the fixtures in test/import/torch.

    pip install torch timm transformers onnx onnxscript safetensors numpy
    python3 scripts/torch-references.py FOLDER [NAME ...]

Only this script needs Python; the tests read what it wrote. Each NETWORK.KIND.bin.gz is a safetensors file:
  onnx       the bytes of the file, exported with two examples
  in.NAME    inputs, three examples
  out.NAME   outputs, as computed in float64
  grad.NAME  gradients of the sum of cos(i) y_i, i being the index within each flattened output, computed in float64; of
             each initializer whose elements are those of parameters
Kinds: legacy (TorchScript, opset 17), unfused (the same without folding, so that batch norms stay), dynamo, and *-one:
with a batch that is fixed to 1, without gradients.
"""
import argparse
import copy
import functools
import gzip
import io
import itertools
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
import transformers
from onnx import numpy_helper
from safetensors.numpy import save
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.byobnet import ByobNet, ByoModelCfg
from timm.models.convnext import ConvNeXt
from timm.models.deit import VisionTransformerDistilled
from timm.models.densenet import DenseNet
from timm.models.efficientnet import EfficientNet
from timm.models.mlp_mixer import MlpMixer
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.mobilevit import _inverted_residual_block, _mobilevit_block
from timm.models.resnet import BasicBlock, ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

GRID = 2**16  # weights are multiples of its inverse: those of few bits compress well


class UNet(nn.Module):
    """One level; the finer features are joined with those that come up again."""

    def __init__(self, transposed):
        super().__init__()
        self.down = self.block(3, 6)
        self.deep = self.block(6, 8)
        if transposed:
            self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1)
        else:
            self.up = nn.Conv2d(8, 6, 1)
        self.transposed = transposed
        self.head = nn.Sequential(self.block(12, 6), nn.Conv2d(6, 2, 1))

    @staticmethod
    def block(channels, out):
        return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.LeakyReLU(0.1),
                             nn.Conv2d(out, out, 3, padding=1), nn.GroupNorm(2, out), nn.ReLU())

    def forward(self, x):
        fine = self.down(x)
        coarse = self.up(self.deep(F.max_pool2d(fine, 2)))
        if not self.transposed:
            coarse = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return self.head(torch.cat([fine, coarse], 1))


class Upsampled(nn.Module):
    """Resizing by a factor and to a size, once with aligned corners."""

    def __init__(self, mode):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.heads = nn.ModuleList(nn.Conv2d(6, 2, 1) for _ in range(3))
        self.mode = mode

    def forward(self, x):
        x = torch.tanh(self.conv(x))
        corners = [{}] * 3 if self.mode == "nearest" else [{"align_corners": c} for c in (False, False, True)]
        sizes = [{"scale_factor": 2}, {"size": (13, 11)}, {"size": (6, 20)}]
        return tuple(head(F.interpolate(x, mode=self.mode, **size, **corner))
                     for head, size, corner in zip(self.heads, sizes, corners))


class Recurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.rnn = cell(6, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Language(nn.Module):
    """A model of transformers whose inputs have an order, and that has one output."""

    def __init__(self, net, output):
        super().__init__()
        self.net = net
        self.output = output

    def forward(self, input_ids, attention_mask):
        return self.net(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)[self.output]


def mobile(kind, blocks, **options):
    return kind(block_args=decode_arch_def(blocks), stem_size=8, fix_stem=True, num_features=24, num_classes=5,
                **options)


def mobilevit():
    return ByobNet(ByoModelCfg(
        blocks=(_inverted_residual_block(d=1, c=8, s=1, br=2.0),
                _mobilevit_block(d=1, c=8, s=2, transformer_dim=16, transformer_depth=1, patch_size=2, br=2.0)),
        stem_chs=8, stem_type="3x3", stem_pool="", downsample="", act_layer="silu", num_features=16), num_classes=5)


IMAGES, SEQUENCES, TEXTS = "images", "sequences", "texts"
PLAIN_VIT = dict(img_size=16, patch_size=4, embed_dim=16, depth=1, num_heads=2, mlp_ratio=2, num_classes=5)
TEXT = dict(vocab_size=24, attn_implementation="eager")
SIZES = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4)
SE = functools.partial(SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round)
CACHELESS = dict(use_cache=False, bos_token_id=1, eos_token_id=2)

BOTH = "legacy dynamo"
ALL = "legacy dynamo legacy-one dynamo-one"
# What a network takes, how it is made, and the kinds of its files.
NETWORKS = {
    "vit": (IMAGES, lambda: VisionTransformer(**PLAIN_VIT), ALL),
    "deit_distilled": (IMAGES, lambda: VisionTransformerDistilled(**PLAIN_VIT), "dynamo"),
    "resnet": (IMAGES, lambda: ResNet(
        BasicBlock, (1, 1, 1, 1), num_classes=5, channels=(6, 6, 8, 8), stem_width=4, stem_type="deep_tiered",
        avg_down=True), "unfused dynamo unfused-one dynamo-one"),
    "mobilenetv2": (IMAGES, lambda: mobile(
        EfficientNet, [["ds_r1_k3_s1_c8"], ["ir_r2_k3_s2_e3_c12"]], act_layer=nn.ReLU6), "unfused"),
    "mobilenetv3": (IMAGES, lambda: mobile(
        MobileNetV3, [["ds_r1_k3_s2_e1_c8_se0.25_nre"], ["ir_r2_k5_s1_e2_c12_se0.25"]], act_layer=nn.Hardswish,
        se_layer=SE), "unfused"),
    "efficientnet": (IMAGES, lambda: mobile(
        EfficientNet, [["ds_r1_k3_s1_e1_c8_se0.25"], ["ir_r2_k5_s2_e3_c12_se0.25"]],
        act_layer=nn.SiLU), "unfused dynamo"),
    "convnext": (IMAGES, lambda: ConvNeXt(depths=(1, 1, 1, 1), dims=(6, 6, 8, 8), patch_size=1, num_classes=5), BOTH),
    "swin": (IMAGES, lambda: SwinTransformer(
        img_size=16, patch_size=2, window_size=4, embed_dim=8, depths=(2, 1), num_heads=(2, 2), mlp_ratio=2,
        num_classes=5), ALL),
    "mixer": (IMAGES, lambda: MlpMixer(img_size=16, patch_size=4, num_blocks=2, embed_dim=16, num_classes=5), "dynamo"),
    "densenet": (IMAGES, lambda: DenseNet(growth_rate=4, block_config=(2, 2), bn_size=2, num_classes=5), "unfused"),
    "mobilevit": (IMAGES, mobilevit, "unfused dynamo"),
    "unet_transposed": (IMAGES, lambda: UNet(True), "unfused"),
    "unet_bilinear": (IMAGES, lambda: UNet(False), "legacy legacy-one"),
    "bicubic": (IMAGES, lambda: Upsampled("bicubic"), BOTH),
    "nearest": (IMAGES, lambda: Upsampled("nearest"), "legacy"),
    "encoder": (SEQUENCES, lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(6, 2, 12, batch_first=True), 2), ALL),
    "lstm": (SEQUENCES, lambda: Recurrent(nn.LSTM), "unfused " + ALL),
    "gru": (SEQUENCES, lambda: Recurrent(nn.GRU), BOTH),
    "bert": (TEXTS, lambda: Language(transformers.BertModel(transformers.BertConfig(
        **TEXT, **SIZES, max_position_embeddings=16)), "last_hidden_state"), "legacy"),
    "gpt2": (TEXTS, lambda: Language(transformers.GPT2LMHeadModel(transformers.GPT2Config(
        **TEXT, **CACHELESS, n_positions=16, n_embd=16, n_layer=2, n_head=2, n_inner=24)), "logits"), BOTH),
    "llama": (TEXTS, lambda: Language(transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **TEXT, **CACHELESS, **SIZES, num_key_value_heads=2, max_position_embeddings=16)), "logits"), BOTH),
}
FIXTURES = [f"{name}.{kind}" for name, (_, _, kinds) in NETWORKS.items() for kind in kinds.split()]


def examples(kind, count, seed):
    generator = torch.Generator().manual_seed(seed)
    if kind != TEXTS:
        return {"x": torch.randn(count, *((3, 16, 16) if kind == IMAGES else (7, 6)), generator=generator)}
    mask = torch.ones(count, 9, dtype=torch.int64)
    mask[1:2, 6:] = 0
    return {"input_ids": torch.randint(3, 24, (count, 9), generator=generator), "attention_mask": mask}


@torch.no_grad()
def draw_weights(net, inputs):
    """Random weights on which outputs depend, of which no two elements are equal."""
    taken = {0}
    for p in net.parameters():
        if p.ndim > 1:
            p.copy_(torch.randn(p.shape) * (0.5 if p.shape[0] == 1 else (p.shape[0] / p.numel()) ** 0.5))
        else:
            small = 0 < p.abs().max() < 0.1 and p.min() == p.max()  # the scale of a layer, as it starts
            p.copy_(torch.randn(p.shape) * 0.1 + (0.5 if small else p))
        places = (p * GRID).round().long().flatten().tolist()
        for i, place in enumerate(places):
            places[i] = next(free for free in itertools.count(place) if free not in taken)
            taken.add(places[i])
        p.copy_(torch.tensor(places).view(p.shape) / GRID)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        net.train()(*inputs.values())  # running statistics near those of other examples
    return net.eval()


def results(net, inputs):
    """Outputs, and the gradient of each parameter by name, in double precision."""
    net = copy.deepcopy(net).double()
    given = [x.double() if x.is_floating_point() else x for x in inputs.values()]
    outputs = net(*given)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = 0
    for y in outputs:
        cosines = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).float().double()
        loss = loss + (y.flatten() * cosines).sum()
    loss.backward()
    gradients = {name: None if p.grad is None else p.grad.float().numpy() for name, p in net.named_parameters()}
    return [y.detach().float().numpy() for y in outputs], gradients


def of_initializers(model, net, gradients):
    """Gradients of a file's initializers: each element is looked up among those of all parameters."""
    known = {}
    for name, p in net.named_parameters():
        if gradients[name] is not None:
            known.update(zip(p.detach().numpy().ravel().tolist(), gradients[name].ravel().tolist()))
    floats = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    arrays = {t.name: numpy_helper.to_array(t) for t in floats}
    used = {name for node in model.graph.node for name in node.input}
    found = {name: a.ravel().tolist() for name, a in arrays.items()
             if name in used and a.size > 1 and all(value in known for value in a.ravel().tolist())}
    # What several initializers hold, or one holds twice, has a gradient that is the sum of theirs.
    times = {}
    for value in itertools.chain.from_iterable(found.values()):
        times[value] = times.get(value, 0) + 1
    return {name: np.array([known[value] for value in values], np.float32).reshape(arrays[name].shape)
            for name, values in found.items() if all(times[value] == 1 for value in values)}


def export(net, inputs, kind, count):
    """The file of a network; `count` is its number of outputs."""
    exporter, _, fixed = kind.partition("-")
    names = list(inputs)
    outs = ["y"] if count == 1 else [f"y{i}" for i in range(count)]
    given = tuple(x[:1] if fixed else x for x in inputs.values())
    if exporter == "dynamo":
        shapes = None if fixed else tuple({0: torch.export.Dim("batch")} for _ in given)
        program = torch.onnx.export(net, given, dynamo=True, dynamic_shapes=shapes, input_names=names,
                                    output_names=outs, verbose=False)
        model = program.model_proto
        for node in model.graph.node:  # where in the Python code a node comes from: most of a small file
            del node.metadata_props[:]
        return model
    file = io.BytesIO()
    unfused = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    axes = None if fixed else {name: {0: "batch"} for name in names + outs}
    torch.onnx.export(net, given, file, dynamo=False, opset_version=17, input_names=names, output_names=outs,
                      dynamic_axes=axes, **(unfused if exporter == "unfused" else {}))
    return onnx.load_from_string(file.getvalue())


def fixture(name):
    network, kind = name.split(".")
    torch.manual_seed(7)
    domain, build, _ = NETWORKS[network]
    net = draw_weights(build(), examples(domain, 8, 1))
    inputs = examples(domain, 3, 3)
    outputs, gradients = results(net, inputs)
    model = export(net, examples(domain, 2, 2), kind, len(outputs))
    tensors = {"onnx": np.frombuffer(model.SerializeToString(), np.uint8)}
    tensors.update({f"in.{key}": x.numpy() for key, x in inputs.items()})
    tensors.update({f"out.{port.name}": y for port, y in zip(model.graph.output, outputs)})
    if not kind.endswith("-one"):
        found = of_initializers(model, net, gradients)
        tensors.update({f"grad.{key}": g for key, g in found.items()})
    return gzip.compress(save(tensors), 9, mtime=0), sum(key.startswith("grad.") for key in tensors)


def main():
    parser = argparse.ArgumentParser(description="Writes small ONNX files of PyTorch with reference values.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=FIXTURES, help="fixtures to write; all, if none is named")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.backends.mha.set_fastpath_enabled(False)
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.names:
        packed, gradients = fixture(name)
        (args.folder / f"{name}.bin.gz").write_bytes(packed)
        print(f"{name}: {len(packed)} bytes, {gradients} gradients", flush=True)


if __name__ == "__main__":
    main()
