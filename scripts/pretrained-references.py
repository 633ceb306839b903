"""Small checkpoints of timm, torchvision, transformers and CCT's authors: the fixtures in test/finetune/pretrained/checkpoints.

    pip install torch torchvision timm transformers safetensors
    git clone https://github.com/SHI-Labs/Compact-Transformers
    python3 scripts/pretrained-references.py FOLDER Compact-Transformers [NAME ...]

Only this script needs Python; the tests read what it wrote. Each NAME.bin.gz is a safetensors file:
  weights.KEY   the tensors of a state dict, under the names that the library writes
  in.image      three images
  out.logits    what the library computes of them with the weights, in float64
  metadata      `model` and `config` of the same model in models/
"""
import argparse
import gzip
import importlib
import json
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save
from timm.models._manipulate import adapt_input_conv
from timm.models.deit import VisionTransformerDistilled
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torchvision.models import vision_transformer as torchvision_vit

GRID = 64  # weights are multiples of its inverse, which half precision holds and which compress well
VIT = dict(img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, num_classes=5)
OURS = dict(image=16, channels=3, patch=4, dim=16, depth=2, heads=2, mlp=32, classes=5)
HF = dict(image_size=16, patch_size=4, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
          num_labels=5)
THIN = (64, 8, 12, 16)  # timm's stem always has 64 channels
RESNET = dict(image=32, channels=3, classes=5)


def draw(net):
    """Random weights in place of the initial ones: no zeros that would hide a mistake."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if not value.is_floating_point():
                continue
            drawn = torch.randn(value.shape, generator=generator)
            if value.ndim > 1:
                drawn *= 1.5 / max(value[0].numel(), 4) ** 0.5 if "embed" not in name and "token" not in name else 0.5
            else:
                drawn = drawn * 0.25 + (1 if name.endswith(("var", "weight")) else 0)
            value.copy_((drawn * GRID).round() / GRID if not name.endswith("var") else drawn.abs() + 0.25)
    return net.eval()


def saved(net):
    """The state dict as `save_pretrained` writes it, which has other names than version 5 has in memory."""
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def timm_adapted(make, source, target, channels):
    """Weights of a small timm model, and another one that timm itself has adapted them to."""
    net = draw(make(**source))
    state = {key: value.clone() for key, value in net.state_dict().items()}
    other = make(**{**target, "in_chans": channels})
    fitting = checkpoint_filter_fn(dict(state), other)
    fitting["patch_embed.proj.weight"] = adapt_input_conv(channels, fitting["patch_embed.proj.weight"])
    other.load_state_dict(fitting)
    return state, other.eval()


def vit_adapted():
    state, net = timm_adapted(VisionTransformer, VIT, {**VIT, "img_size": 24}, 1)
    return "vit", {**OURS, "image": 24, "channels": 1}, state, net


def deit_adapted():
    state, net = timm_adapted(VisionTransformerDistilled, {**VIT, "img_size": 28}, VIT, 5)
    return "vit", {**OURS, "channels": 5, "distilled": True}, state, net


def patches(size):
    def make():
        state, net = timm_adapted(VisionTransformer, VIT, {**VIT, "img_size": size * 4, "patch_size": size}, 3)
        return "vit", {**OURS, "image": size * 4, "patch": size}, state, net
    return make


def timm(model, config, build):
    def make():
        net = draw(build())
        return model, config, net.state_dict(), net
    return make


def resnet(block, layers, **options):
    return ResNet(block, layers, channels=THIN, num_classes=5, **options)


def resnet_one_channel():
    net = draw(resnet(BasicBlock, (1, 2, 1, 1)))
    other = resnet(BasicBlock, (1, 2, 1, 1), in_chans=1)
    other.load_state_dict({**net.state_dict(), "conv1.weight": adapt_input_conv(1, net.conv1.weight.detach())})
    state = {f"module.{key}": value.half() if value.is_floating_point() else value
             for key, value in net.state_dict().items()}
    other.load_state_dict({key: value.half().float() for key, value in other.state_dict().items()})
    return "resnet", {**RESNET, "widths": THIN, "block": "basic", "layers": [1, 2, 1, 1], "channels": 1}, state, other.eval()


def hugging_face(model, config, build, dtype=torch.float32, in_memory=False):
    def make():
        net = draw(build())
        if dtype == torch.bfloat16:
            net.load_state_dict({key: value.to(dtype).float() for key, value in net.state_dict().items()})
        tensors = net.state_dict() if in_memory else saved(net)
        return model, config, {
            key: value.to(dtype) if value.is_floating_point() else value for key, value in tensors.items()}, net
    return make


def hf_resnet(kind, sizes):
    return transformers.ResNetForImageClassification(transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=sizes, depths=[1, 2, 1], layer_type=kind, num_labels=5))


def cct():
    net = importlib.import_module("src.cct").CCT(
        img_size=16, embedding_dim=16, n_conv_layers=2, kernel_size=3, stride=1, padding=1, num_layers=2, num_heads=2,
        mlp_ratio=2, num_classes=5)
    net = draw(net)
    config = dict(image=16, channels=3, kernel=3, planes=[64], dim=16, depth=2, heads=2, mlp=32, classes=5,
                  residualNorm=True)
    return "cct", config, net.state_dict(), net


FIXTURES = {
    "timm-vit": timm("vit", OURS, lambda: VisionTransformer(**VIT)),
    "timm-vit-mean": timm("vit", {**OURS, "pool": "mean"}, lambda: VisionTransformer(**VIT, global_pool="avg")),
    "timm-deit": timm("vit", {**OURS, "distilled": True}, lambda: VisionTransformerDistilled(**VIT)),
    "timm-vit-adapted": vit_adapted,
    "timm-deit-adapted": deit_adapted,
    "timm-vit-larger-patches": patches(7),
    "timm-vit-smaller-patches": patches(3),
    "timm-resnet-bottleneck": timm("resnet", {**RESNET, "widths": THIN, "block": "bottleneck", "layers": [1, 2, 1, 1]},
                                   lambda: resnet(Bottleneck, (1, 2, 1, 1))),
    "timm-resnet-one-channel": resnet_one_channel,
    "torchvision-vit": timm("vit", OURS, lambda: torchvision_vit.VisionTransformer(
        image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)),
    "transformers-vit": hugging_face(
        "vit", OURS, lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**HF))),
    "transformers-vit-bfloat16": hugging_face(
        "vit", OURS, lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**HF)), torch.bfloat16, True),
    "transformers-deit": hugging_face(
        "vit", {**OURS, "distilled": True},
        lambda: transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**HF))),
    "transformers-resnet-basic": hugging_face(
        "resnet", {**RESNET, "widths": [8, 12, 16], "block": "basic", "layers": [1, 2, 1]},
        lambda: hf_resnet("basic", [8, 12, 16])),
    "transformers-resnet-bottleneck": hugging_face(
        "resnet", {**RESNET, "widths": [8, 12, 16], "block": "bottleneck", "layers": [1, 2, 1]},
        lambda: hf_resnet("bottleneck", [32, 48, 64])),
    "cct-authors": cct,
}


def fixture(name):
    torch.manual_seed(7)
    model, config, state, net = FIXTURES[name]()
    image = torch.rand(3, config["channels"], config["image"], config["image"])
    with torch.no_grad():
        # transformers checks the size of images, and returns logits by name.
        logits = net.double()(image.double())
    logits = getattr(logits, "logits", logits)
    tensors = {f"weights.{key}": value.detach().contiguous().clone() for key, value in state.items()}
    tensors.update({"in.image": image, "out.logits": logits.float()})
    return gzip.compress(save(tensors, {"model": model, "config": json.dumps(config)}), 9, mtime=0)


def main():
    parser = argparse.ArgumentParser(description="Writes small checkpoints of libraries with what they compute.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("compact", type=Path, help="a checkout of SHI-Labs/Compact-Transformers")
    parser.add_argument("names", nargs="*", default=FIXTURES, help="fixtures to write; all, if none is named")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    sys.path.insert(0, str(args.compact))
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.names:
        packed = fixture(name)
        (args.folder / f"{name}.bin.gz").write_bytes(packed)
        print(f"{name}: {len(packed)} bytes", flush=True)


if __name__ == "__main__":
    main()
